//! A gateway inside the test's own process.

use std::net::SocketAddr;

use onebot_gateway::app::{Drained, Gateway};
use onebot_gateway::config::Config;
use onebot_gateway::downstream::Consumer;
use onebot_gateway::net::Target;
use onebot_gateway::policy::Secret;
use onebot_gateway::upstream::{self, Endpoint};

use super::metrics::Admin;
use super::wire::Wire;
use super::{TOKEN, WITNESS, anywhere, within};

/// A running gateway; dropping it ends it hard.
#[derive(Debug)]
pub struct Running {
    gateway: Gateway,
    pub address: SocketAddr,
    pub admin: Admin,
}

impl Running {
    pub async fn start(config: Config) -> Self {
        let gateway = Gateway::start(config).await.unwrap();
        let (address, admin) = (gateway.address(), Admin(gateway.admin_address()));
        Self { gateway, address, admin }
    }

    /// A gateway of [`config`] whose link to `upstream` is up.
    pub async fn ready(upstream: SocketAddr) -> Self {
        let running = Self::start(config(dial(upstream))).await;
        running.admin.ready().await;
        running
    }

    /// A session of the bot on `/`, its lifecycle event read.
    pub async fn bot(&self) -> Wire {
        self.session(TOKEN).await
    }

    /// A session of the other bot.
    pub async fn witness(&self) -> Wire {
        self.session(WITNESS).await
    }

    async fn session(&self, token: &str) -> Wire {
        let mut bot = Wire::bot_with(token, self.address, "/").await;
        assert_eq!(bot.frame().await["sub_type"], "connect");
        bot
    }

    pub async fn drain(self) -> Drained {
        within("the gateway to drain", self.gateway.drain()).await
    }
}

/// Free ports, and two consumers: `bot`, which [`TOKEN`] proves, and `witness`, which behaves well in every
/// test and must not notice what the other does.
pub fn config(endpoint: Endpoint) -> Config {
    let bot = Consumer::new("bot", Secret::new(TOKEN));
    let witness = Consumer::new("witness", Secret::new(WITNESS));
    let mut config = Config::new(upstream::Config::new("main", endpoint), vec![bot, witness]);
    config.server.listen = anywhere();
    config.admin.listen = anywhere();
    config
}

/// Forward WebSocket to `address`.
pub fn dial(address: SocketAddr) -> Endpoint {
    Endpoint::Dial(target(&format!("ws://{address}/")))
}

/// Reverse WebSocket from LLOneBot on `/llonebot`.
pub fn accept() -> Endpoint {
    Endpoint::Accept("/llonebot".to_owned())
}

pub fn target(url: &str) -> Target {
    Target::parse(url).unwrap()
}
