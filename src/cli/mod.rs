//! The command line: one file per command.

pub mod actions;
pub mod check;
pub mod demo;
pub mod explain;
pub mod run;
pub mod simulate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Everything went well.
const CLEAN: u8 = 0;
/// It did not.
const FAILED: u8 = 1;
/// The arguments or the configuration are wrong (`EX_USAGE`).
const BAD_USAGE: u8 = 64;

/// One LLOneBot (OneBot 11) account, shared safely by many bots.
///
/// The gateway keeps one connection to LLOneBot and lets any number of bots attach to it, each
/// with its own token. Every bot sees every event; every answer returns to the bot that asked.
#[derive(Debug, Parser)]
#[command(version, after_help = "Without a command the gateway runs.")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    Actions(actions::Args),
    Demo(demo::Args),
    Explain(explain::Args),
    Simulate(simulate::Args),
}

/// Runs the command the arguments name. Exit code 0 clean, 1 failed, 64 bad usage or configuration.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a terminal that is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { BAD_USAGE } else { CLEAN });
        }
    };
    match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Actions(args)) => actions::run(&args),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Simulate(args)) => simulate::run(args),
    }
}
