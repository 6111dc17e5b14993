//! Loads every variant of the kernel programs into the running kernel and holds
//! what the verifier says against the budgets.

fn main() {
    let o = xdsc::source::live::probe::LoadOptions::default();
    match xdsc::source::live::probe::Probe::load(&o) {
        Ok(p) => eprintln!("{:?}", p.geometry()),
        Err(e) => eprintln!("{e}"),
    }
    for p in aya::programs::loaded_programs() {
        let p = p.unwrap();
        eprintln!(
            "{:?} {:?} xl {:?}",
            p.name_as_str(),
            p.verified_instruction_count(),
            p.size_translated()
        );
    }
}
