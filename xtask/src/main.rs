//! The tool runner of xdsc, called as `cargo xtask COMMAND`.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "telling the user what happens is what this program is for"
)]

mod build;
mod dashboards;
mod demo;
mod integration;
mod process;
mod setup;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Builds, shows and tests xdsc. On a fresh machine: `cargo xtask demo`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
enum Task {
    Setup(setup::Setup),
    Build(build::Build),
    Demo(demo::Demo),
    Test(test::Test),
    Verify(integration::Verify),
    Bench(integration::Bench),
    Generate(integration::Generate),
    #[command(hide = true)]
    DemoStage(demo::Stage),
    #[command(hide = true)]
    DemoResponder(demo::Responder),
    #[command(hide = true)]
    DemoGenerator(demo::Generator),
    #[command(hide = true)]
    RunTest(test::RunTest),
}

fn main() -> ExitCode {
    process::exit_code(dispatch(Task::parse()))
}

fn dispatch(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Setup(setup) => setup.run(),
        Task::Build(build) => build.run(),
        Task::Demo(demo) => demo.run(),
        Task::Test(test) => test.run(),
        Task::Verify(verify) => verify.run(),
        Task::Bench(bench) => bench.run(),
        Task::Generate(generate) => generate.run(),
        Task::DemoStage(stage) => stage.run(),
        Task::DemoResponder(responder) => responder.run(),
        Task::DemoGenerator(generator) => generator.run(),
        Task::RunTest(test) => test.run(),
    }
}
