//! Packages of Python that tests need: pinned in folders of `tests/`, installed into
//! environments of their own below cargo's output folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Scope;
use crate::process::run;
use crate::workspace;

/// Folders of `tests/` that have a file of requirements.
const PROJECTS: [&str; 1] = ["schemathesis"];
/// What is asked for, and, written last, what was installed.
const REQUIREMENTS: &str = "requirements.txt";

/// The projects whose packages are not here, or are others.
pub(super) fn missing(scope: Scope) -> Vec<&'static str> {
    let mut missing = PROJECTS.to_vec();
    missing.retain(|project| scope == Scope::Test && !is_installed(project));
    missing
}

fn is_installed(project: &str) -> bool {
    let wanted = fs::read_to_string(source(project).join(REQUIREMENTS));
    let installed = fs::read_to_string(installed(project).join(REQUIREMENTS));
    matches!((wanted, installed), (Ok(wanted), Ok(installed)) if wanted == installed)
}

/// Makes an environment with what the file asks for; packages that would have to
/// be built are refused.
pub(super) fn install(project: &str) -> Result<()> {
    let folder = installed(project);
    let requirements = source(project).join(REQUIREMENTS);
    println!("installing     Python packages of tests/{project}");
    run(Command::new("virtualenv")
        .args(["--quiet", "--clear"])
        .arg(&folder))
    .context("virtualenv could not make an environment")?;
    run(Command::new(folder.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(["--only-binary", ":all:", "--requirement"])
        .arg(&requirements))
    .with_context(|| format!("pip could not install the packages of tests/{project}"))?;
    fs::copy(&requirements, folder.join(REQUIREMENTS))?;
    Ok(())
}

fn source(project: &str) -> PathBuf {
    workspace::root().join("tests").join(project)
}

fn installed(project: &str) -> PathBuf {
    workspace::target_dir().join("python").join(project)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_project_has_its_requirements_and_all_are_pinned() {
        for project in PROJECTS {
            let file = source(project).join(REQUIREMENTS);
            let requirements = fs::read_to_string(&file).expect(project);
            assert!(requirements.lines().all(|line| line.contains("==")));
        }
    }

    #[test]
    fn only_tests_need_them() {
        assert!(missing(Scope::Build).is_empty());
        assert!(missing(Scope::Demo).is_empty());
    }
}
