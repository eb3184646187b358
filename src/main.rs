//! The `onebot-gateway` program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    onebot_gateway::cli::main()
}
