//! One connection up, whatever bots do; and bots stay, whatever LLOneBot does.

use std::time::Duration;

use onebot_gateway::simulator::{Behaviour, Control};
use serde_json::json;
use socket2::SockRef;

use crate::support::gateway::{Running, config, dial};
use crate::support::wire::Wire;
use crate::support::{anywhere, call, event, eventually, simulator, within};

const BOT: &[(&str, &str)] = &[("consumer", "bot")];

#[tokio::test]
async fn llonebot_sees_one_connection_however_bots_come_and_go() {
    let simulator = simulator(anywhere()).await;
    let gateway = Running::ready(simulator.address().unwrap()).await;
    let control = simulator.control();
    for round in 0..5 {
        let mut bots = Vec::new();
        for path in ["/", "/api", "/event", "/"] {
            bots.push(Wire::bot(gateway.address, path).await);
        }
        for (number, bot) in bots.iter_mut().enumerate() {
            bot.send(call("get_group_list", number)).await;
        }
        // Some leave in order, some hang up, some are killed, all with their calls under way.
        for (number, bot) in bots.into_iter().enumerate() {
            match (number + round) % 3 {
                0 => bot.close().await,
                1 => drop(bot),
                _ => reset(bot),
            }
        }
        assert_eq!((control.connections(), control.total_connections()), (1, 1), "round {round}");
    }
    eventually("all sessions to end", async || gateway.admin.metric("sessions", BOT).await == 0.0).await;
    let mut bot = gateway.bot().await;
    assert_eq!(bot.ask("get_status", 1).await["status"], "ok");
    assert_eq!((control.connections(), control.total_connections()), (1, 1));
}

/// Ends a connection without a word, as the kernel does for a process that was killed.
fn reset(bot: Wire) {
    let socket = bot.into_socket();
    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
}

#[tokio::test]
async fn a_restarted_llonebot_costs_no_bot_its_session() {
    let mut simulator = simulator(anywhere()).await;
    let address = simulator.address().unwrap();
    let gateway = Running::start({
        let mut config = config(dial(address));
        config.upstream.max_backoff = Duration::from_millis(50);
        config
    })
    .await;
    gateway.admin.ready().await;
    let mut bots = [gateway.bot().await, gateway.bot().await];
    for restart in 0..3 {
        let silent = Behaviour { silence: ["get_group_list".to_owned()].into(), ..Behaviour::default() };
        simulator.control().set_behaviour(silent);
        for (number, bot) in bots.iter_mut().enumerate() {
            // Of two equal questions only one would be asked.
            let question = json!({"action": "get_group_list", "params": {"number": number}, "echo": format!("in flight {number}")});
            bot.send(question.to_string()).await;
        }
        let asked = |control: &Control| {
            control.calls().iter().filter(|call| call.action == "get_group_list").count() == 2
        };
        within("both calls to arrive", simulator.control().wait_for(asked)).await;
        simulator.stop().await;
        for (number, bot) in bots.iter_mut().enumerate() {
            let lost = bot.answer(format!("in flight {number}")).await;
            assert_eq!(lost["retcode"], 1502, "{lost}");
            assert!(lost["message"].as_str().unwrap().contains("does not send it again"), "{lost}");
        }
        gateway.admin.not_ready("no link to LLOneBot").await;

        simulator = crate::support::simulator(address).await;
        gateway.admin.ready().await;
        for bot in &mut bots {
            assert_eq!(bot.ask("get_status", restart).await["status"], "ok");
        }
        simulator.control().emit(event(restart)).await;
        for bot in &mut bots {
            bot.expect_events(restart..restart + 1).await;
        }
        assert_eq!(simulator.control().total_connections(), 1);
        let asked_again = simulator.control().calls().iter().any(|call| call.action == "get_group_list");
        assert!(!asked_again, "a call was sent twice");
    }
    assert_eq!(gateway.admin.metric("sessions", BOT).await, 2.0);
    let losses = gateway.admin.metrics().await;
    assert_eq!(losses.get("link_connects_total", &[("upstream", "main")]), 4.0);
}

#[tokio::test]
async fn a_call_made_meanwhile_waits_for_the_link_or_says_that_it_is_down() {
    let first = simulator(anywhere()).await;
    let address = first.address().unwrap();
    let mut config = config(dial(address));
    config.upstream.max_backoff = Duration::from_millis(50);
    config.calls.wait_for_link = Duration::from_mins(10);
    let gateway = Running::start(config.clone()).await;
    config.calls.wait_for_link = Duration::from_millis(50);
    let impatient = Running::start(config).await;
    gateway.admin.ready().await;
    impatient.admin.ready().await;
    let (mut bot, mut hasty) = (gateway.bot().await, impatient.bot().await);
    first.stop().await;
    gateway.admin.not_ready("no link").await;
    impatient.admin.not_ready("no link").await;

    bot.send(call("get_status", "patient")).await;
    let down = hasty.ask("get_status", "hasty").await;
    assert_eq!(down["retcode"], 1502);
    gateway.admin.reaches("calls_waiting", &[("upstream", "main")], 1.0).await;
    let _second = simulator(address).await;
    assert_eq!(bot.answer("patient").await["status"], "ok");
    assert_eq!(hasty.ask("get_status", "again").await["status"], "ok");
}

/// Back-off begins with the second failure: with one of hours nobody would wait for that.
#[tokio::test]
async fn a_link_that_breaks_is_dialled_again_before_any_long_back_off() {
    let simulator = simulator(anywhere()).await;
    let mut config = config(dial(simulator.address().unwrap()));
    config.upstream.max_backoff = Duration::from_hours(1);
    let gateway = Running::start(config).await;
    gateway.admin.ready().await;
    let mut bot = gateway.bot().await;
    simulator.control().disconnect();
    within("the link to come back", simulator.control().wait_for(|control| control.total_connections() == 2))
        .await;
    assert_eq!(bot.ask("get_status", 1).await["status"], "ok");
}
