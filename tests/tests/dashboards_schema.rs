//! The dashboards against Grafana's own types: TypeScript's compiler takes them as
//! they are, and does not take spoiled ones.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// Set where the programs that `setup` installs must be there.
const REQUIRE_TOOLS: &str = "XDSC_REQUIRE_TOOLS";
/// What says what a dashboard is, and how it is compiled.
const PROJECT: [&str; 2] = ["dashboard.ts", "tsconfig.json"];

/// Spoiled in a way that Grafana would not tell of, with what the compiler says.
const SPOILED: [(&str, &str, &str); 4] = [
    (r#""drawStyle": "line""#, r#""drawStyle": "lines""#, "lines"),
    (r#""graphMode""#, r#""graphModus""#, "graphModus"),
    (r#""keepTime""#, r#""keeptime""#, "keeptime"),
    (
        r#""axisSoftMin""#,
        r#""axisSoftMinimum""#,
        "axisSoftMinimum",
    ),
];

#[test]
fn dashboards_are_what_grafana_says_that_they_are() -> Result<()> {
    let Some(packages) = packages()? else {
        return Ok(());
    };
    let project = project(&packages)?;
    let mut number = 0;
    for (name, text) in dashboards()? {
        module(&project, &name, &text)?;
        number += 1;
    }
    ensure!(number == 8, "{number} dashboards");
    let said = compile(&project)?;
    ensure!(said.is_empty(), "{said}");
    Ok(())
}

#[test]
fn spoiled_dashboards_are_not() -> Result<()> {
    let Some(packages) = packages()? else {
        return Ok(());
    };
    let project = project(&packages)?;
    let dashboards = dashboards()?;
    let text = dashboards.get("xdsc-overview").context("the overview")?;
    for (index, (from, to, _)) in SPOILED.iter().enumerate() {
        ensure!(text.contains(from), "{from} is not there to be spoiled");
        module(
            &project,
            &format!("spoiled-{index}"),
            &text.replace(from, to),
        )?;
    }
    let said = compile(&project)?;
    for (index, (.., expected)) in SPOILED.iter().enumerate() {
        let file = format!("spoiled-{index}.ts");
        let mut errors = said.lines().filter(|line| line.starts_with(&file));
        ensure!(errors.next().is_some(), "{file} was taken: {said}");
        ensure!(said.contains(expected), "{expected}: {said}");
    }
    Ok(())
}

/// Where `cargo xtask setup` has installed them; none where they need not be.
fn packages() -> Result<Option<PathBuf>> {
    let test = env::current_exe()?;
    let target = test.ancestors().nth(3).context("a test lies in deps/")?;
    let packages = target.join("npm/grafana-schema/node_modules");
    if packages.is_dir() {
        return Ok(Some(packages));
    }
    ensure!(
        env::var_os(REQUIRE_TOOLS).is_none(),
        "{} is missing: run `cargo xtask setup`",
        packages.display()
    );
    skipped();
    Ok(None)
}

#[expect(clippy::print_stderr, reason = "whoever runs a test by itself is told")]
fn skipped() {
    eprintln!("SKIPPED: the npm packages are missing; `cargo xtask setup` installs them");
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana-schema")
}

/// A folder to compile in.
fn project(packages: &Path) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for file in PROJECT {
        fs::copy(source().join(file), folder.path().join(file))?;
    }
    fs::copy(
        source().join("package.json"),
        folder.path().join("package.json"),
    )?;
    symlink(packages, folder.path().join("node_modules"))?;
    Ok(folder)
}

fn dashboards() -> Result<BTreeMap<String, String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards/grafana");
    let mut dashboards = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_stem().context("a name")?.to_string_lossy();
        dashboards.insert(name.into_owned(), fs::read_to_string(&path)?);
    }
    Ok(dashboards)
}

/// The JSON as a constant of the type that it should have.
fn module(project: &TempDir, name: &str, json: &str) -> Result<()> {
    let text = format!(
        "import type {{ Checked }} from './dashboard.js';\n\
         export const dashboard: Checked = {json};\n"
    );
    Ok(fs::write(project.path().join(format!("{name}.ts")), text)?)
}

/// What the compiler complains of.
fn compile(project: &TempDir) -> Result<String> {
    let output = Command::new("node")
        .args(["node_modules/typescript/bin/tsc", "--pretty", "false"])
        .current_dir(project.path())
        .output()
        .context("cannot start node: run `cargo xtask setup`")?;
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8(said)?)
}
