//! Packages of npm that tests need: pinned by lock files in folders of `tests/`,
//! installed below cargo's output folder, so that the sources stay as they are.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Scope;
use crate::process::run;
use crate::workspace;

/// Folders of `tests/` that have a package.json and its lock file.
const PROJECTS: [&str; 2] = ["grafana-schema", "page"];
/// What a project is known by, and what it is installed from.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];
/// Written last, with what was installed: the lock file.
const STAMP: &str = "installed";

/// The projects whose packages are not here, or are others.
pub(super) fn missing(scope: Scope) -> Vec<&'static str> {
    let mut missing = PROJECTS.to_vec();
    missing.retain(|project| scope == Scope::Test && !is_installed(project));
    missing
}

fn is_installed(project: &str) -> bool {
    let lock = fs::read_to_string(source(project).join("package-lock.json"));
    let stamp = fs::read_to_string(installed(project).join(STAMP));
    matches!((lock, stamp), (Ok(lock), Ok(stamp)) if lock == stamp)
}

/// Installs what the lock file says, and runs nothing of it.
pub(super) fn install(project: &str) -> Result<()> {
    let folder = installed(project);
    println!("installing     npm packages of tests/{project}");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for file in FILES {
        let from = source(project).join(file);
        fs::copy(&from, folder.join(file))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    run(Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--silent",
        ])
        .current_dir(&folder))
    .with_context(|| format!("npm could not install the packages of tests/{project}"))?;
    fs::copy(folder.join("package-lock.json"), folder.join(STAMP))?;
    Ok(())
}

fn source(project: &str) -> PathBuf {
    workspace::root().join("tests").join(project)
}

fn installed(project: &str) -> PathBuf {
    workspace::target_dir().join("npm").join(project)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_project_has_its_files() {
        for project in PROJECTS {
            for file in FILES {
                assert!(source(project).join(file).is_file(), "{project}: {file}");
            }
        }
    }

    #[test]
    fn only_tests_need_them() {
        assert!(missing(Scope::Build).is_empty());
        assert!(missing(Scope::Demo).is_empty());
    }
}
