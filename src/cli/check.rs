//! `onebot-gateway check`: is the configuration right?

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{self, Config};
use crate::upstream::Endpoint;

const FAILED: u8 = 1;
const BAD_CONFIGURATION: u8 = 64;

/// Checks the configuration and says everything that is wrong with it, and what has no effect, without
/// starting anything.
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
                "upstream  {}: awaits LLOneBot at {}://{}{path}",
                upstream.name,
                if config.server.tls.is_some() { "wss" } else { "ws" },
                config.server.listen
            )?;
        }
    }
    let with_tls = |tls: &Option<_>| if tls.is_some() { ", with TLS" } else { "" };
    writeln!(out, "bots      listen on {}{}", config.server.listen, with_tls(&config.server.tls))?;
    writeln!(out, "operator  listen on {}{}", config.admin.listen, with_tls(&config.admin.tls))?;
    for consumer in &config.consumers {
        let visits = consumer.reverse_ws.iter().map(|reverse| format!("we also connect to {}", reverse.url));
        let posts = consumer.webhook.iter().map(|webhook| format!("we post events to {}", webhook.url));
        let what: Vec<String> = visits.chain(posts).collect();
        let colon = if what.is_empty() { "" } else { ": " };
        writeln!(out, "consumer  {}{colon}{}", consumer.name, what.join(", "))?;
    }
    for warning in &config.warnings {
        writeln!(out, "warning   {warning}")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_who_connects_to_whom_and_no_secret() {
        let text = r#"
            [upstream.main]
            dial = "ws://127.0.0.1:3001/?access_token=hunter2"
            [consumer.nonebot]
            token = "hunter2-n"
            reverse_ws = { url = "ws://127.0.0.1:8080/onebot/v11/ws?access_token=hunter2" }
            [consumer.script]
            token = "hunter2-s"
        "#;
        let config = config::parse(text, "gateway.toml", std::iter::empty()).unwrap();
        let mut out = Vec::new();
        summarize(&config, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "upstream  main: connects to ws://127.0.0.1:3001/\n\
             bots      listen on 127.0.0.1:6700\n\
             operator  listen on 127.0.0.1:6701\n\
             consumer  nonebot: we also connect to ws://127.0.0.1:8080/onebot/v11/ws\n\
             consumer  script\n"
        );
    }

    #[test]
    fn a_summary_is_written_for_llonebot_that_dials() {
        let text = "[upstream.main]\naccept = \"/llonebot\"\n[consumer.a]\ntoken = \"x\"";
        let config = config::parse(text, "gateway.toml", std::iter::empty()).unwrap();
        let mut out = Vec::new();
        summarize(&config, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("upstream  main: awaits LLOneBot at ws://127.0.0.1:6700/llonebot\n"),
            "{text}"
        );
    }
}
