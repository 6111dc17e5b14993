//! temp
/// t
pub fn dsc_text(wire: &[u8]) -> Vec<u8> {
    let mut v = Vec::new();
    let mut at = 0;
    if wire == [0] {
        return b".".to_vec();
    }
    while let Some(&l) = wire.get(at) {
        if l == 0 {
            break;
        }
        if !v.is_empty() {
            v.push(b'.');
        }
        v.extend(
            wire[at + 1..at + 1 + l as usize]
                .iter()
                .map(u8::to_ascii_lowercase),
        );
        at += 1 + l as usize;
    }
    v
}
/// t
pub fn push_text(wire: &[u8], to: &mut String) {
    to.push_str(&String::from_utf8_lossy(&dsc_text(wire)))
}
/// t
pub fn parse(t: &str) -> Result<Vec<u8>, ()> {
    let mut v = Vec::new();
    for l in t.trim_end_matches('.').split('.') {
        v.push(l.len() as u8);
        v.extend(l.bytes());
    }
    v.push(0);
    Ok(v)
}
