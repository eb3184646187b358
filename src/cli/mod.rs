//! The command line: one file per command.

pub mod check;

use std::process::ExitCode;

/// Runs the command the arguments name. Exit code 0 clean, 1 failed, 64 bad usage or configuration.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
