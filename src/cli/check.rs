//! `onebot-gateway check`: is the configuration right?

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{self, Config};
use crate::upstream::Endpoint;

const FAILED: u8 = 1;
const BAD_CONFIGURATION: u8 = 64;

/// Checks the configuration and says everything that is wrong with it, without starting anything.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", env = "ONEBOT_GATEWAY_CONFIG", default_value = "gateway.toml")]
    pub config: PathBuf,
}

/// Exit code 0 and a summary on stdout, or 64 and every problem on stderr; 1 if neither could be written.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let (written, code) = match config::load(&args.config, config::environment()) {
        Ok(config) => (summarize(&config, &mut io::stdout().lock()), ExitCode::SUCCESS),
        Err(problems) => (writeln!(io::stderr().lock(), "{problems}"), ExitCode::from(BAD_CONFIGURATION)),
    };
    match written {
        Ok(()) => code,
        // Whoever reads us has seen enough: `check | head -1`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(_) => ExitCode::from(FAILED),
    }
}

fn summarize(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let upstream = &config.upstream;
    match &upstream.endpoint {
        Endpoint::Dial(target) => writeln!(out, "upstream  {}: connects to {target}", upstream.name)?,
        Endpoint::Accept(path) => {
            writeln!(
                out,
                "upstream  {}: awaits LLOneBot at ws://{}{path}",
                upstream.name, config.server.listen
            )?;
        }
    }
    writeln!(out, "bots      listen on {}", config.server.listen)?;
    writeln!(out, "operator  listen on {}", config.admin.listen)?;
    for consumer in &config.consumers {
        match &consumer.reverse_ws {
            None => writeln!(out, "consumer  {}", consumer.name)?,
            Some(reverse) => {
                writeln!(out, "consumer  {}: we also connect to {}", consumer.name, reverse.url)?;
            }
        }
    }
    out.flush()
}
