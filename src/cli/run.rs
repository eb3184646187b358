//! `onebot-gateway [run]`: the daemon.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use super::{BAD_USAGE, FAILED};
use crate::app::Gateway;
use crate::config::{self, Config};
use crate::telemetry::logging;

/// Runs the gateway until SIGTERM or Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", env = "ONEBOT_GATEWAY_CONFIG", default_value = "gateway.toml")]
    pub config: PathBuf,
}

/// Exit code 0 after a shutdown in order, 1 after a failure, 64 for a bad configuration.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let config = match config::load(&args.config, config::environment()) {
        Ok(config) => config,
        Err(problems) => {
            let _ = writeln!(io::stderr().lock(), "{problems}");
            return ExitCode::from(BAD_USAGE);
        }
    };
    logging::init(&config.log);
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(config.workers)
        .thread_name("data-path")
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(serve(config)),
        Err(error) => {
            error!(%error, "cannot start the runtime");
            ExitCode::from(FAILED)
        }
    }
}

async fn serve(config: Config) -> ExitCode {
    // Registered before anything runs, so that no signal is met by the default, which kills.
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        error!("cannot listen for signals");
        return ExitCode::from(FAILED);
    };
    let gateway = match Gateway::start(config).await {
        Ok(gateway) => gateway,
        Err(error) => {
            error!("cannot start: {error}");
            return ExitCode::from(FAILED);
        }
    };
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: shutting down"),
        _ = interrupt.recv() => info!("Ctrl-C: shutting down"),
    }
    tokio::select! {
        drained = gateway.drain() => {
            info!(tasks_left = drained.tasks_left, calls_left = drained.calls_left, "bye");
            ExitCode::SUCCESS
        }
        _ = terminate.recv() => impatient(),
        _ = interrupt.recv() => impatient(),
    }
}

fn impatient() -> ExitCode {
    warn!("second signal: ending at once");
    ExitCode::from(FAILED)
}
