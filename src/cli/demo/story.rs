//! What happens to the account while the demo runs.

use std::iter::{Copied, Cycle};
use std::slice;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::simulator::Control;

/// The simulated account's number and name.
pub(super) const ACCOUNT: i64 = 2_847_190_563;
pub(super) const ACCOUNT_NAME: &str = "窑小二";

const TOWN: i64 = 618_204_977;
const GLAZE: i64 = 930_551_846;
const OWNER: i64 = 1_639_027_745;
const TUO: i64 = 758_310_926;
const LOESS: i64 = 3_051_882_469;
const MAN: i64 = 2_210_947_381;
const TRUCK: i64 = 3_482_216_057;
const STRANGER: i64 = 1_904_472_650;

/// A day in two groups, over and over.
const SCENES: &[Scene] = &[
    Scene::Said(TOWN, OWNER, "早上好！周六的陶艺课还有两个位置，想来的在群里接龙"),
    Scene::Asked(TOWN, MAN, "我和我妹两个人，可以吗"),
    Scene::Said(GLAZE, LOESS, "请问透明釉里的长石，用钾长石还是钠长石？"),
    Scene::Said(GLAZE, TUO, "钾长石吧，烧成范围宽一些 👍"),
    Scene::Poked(TOWN, MAN),
    Scene::Asked(TOWN, LOESS, "明天青石镇下雨吗？晾着的坯要不要收"),
    Scene::Written(TUO, "在吗？上次那张釉料配方能再发一份吗"),
    Scene::Said(TOWN, TRUCK, "柴火送到了，停在后院门口，来个人搭把手"),
    Scene::Befriended(STRANGER, "我是群里问天气的"),
    Scene::Asked(GLAZE, TUO, "素烧 800℃，升温别超过每小时 100 度，记一下"),
    Scene::Said(TOWN, OWNER, "今晚八点开窑，各位别迟到"),
    Scene::Recalled(TOWN, OWNER),
];

#[derive(Clone, Copy)]
enum Scene {
    /// Somebody said something in a group,
    Said(i64, i64, &'static str),
    /// or said it to the account.
    Asked(i64, i64, &'static str),
    /// A friend wrote in private.
    Written(i64, &'static str),
    /// Somebody in a group poked the account.
    Poked(i64, i64),
    /// Somebody took back what was said last.
    Recalled(i64, i64),
    /// A stranger wants to be a friend.
    Befriended(i64, &'static str),
}

/// Lets one thing after the other happen.
pub(super) struct Story {
    scenes: Cycle<Copied<slice::Iter<'static, Scene>>>,
    said_last: i32,
}

impl Story {
    pub(super) fn begin() -> Self {
        Self { scenes: SCENES.iter().copied().cycle(), said_last: 0 }
    }

    /// One event for everybody who is connected to LLOneBot.
    pub(super) async fn go_on(&mut self, llonebot: &Control) {
        let Some(scene) = self.scenes.next() else { return };
        let time = unix_time();
        let event = match scene {
            Scene::Said(group, user, text) => {
                self.said_last = llonebot.say_in_group(group, user, text).await;
                return;
            }
            Scene::Asked(group, user, text) => {
                let text = format!("[CQ:at,qq={ACCOUNT},name={ACCOUNT_NAME}] {text}");
                self.said_last = llonebot.say_in_group(group, user, &text).await;
                return;
            }
            Scene::Written(user, text) => {
                llonebot.say_privately(user, text).await;
                return;
            }
            Scene::Poked(group, user) => json!({
                "time": time, "self_id": ACCOUNT, "post_type": "notice", "notice_type": "notify",
                "sub_type": "poke", "target_id": ACCOUNT, "user_id": user, "group_id": group, "raw_info": [],
            }),
            Scene::Recalled(group, user) => json!({
                "time": time, "self_id": ACCOUNT, "post_type": "notice", "notice_type": "group_recall",
                "operator_id": user, "message_id": self.said_last, "group_id": group, "user_id": user,
            }),
            Scene::Befriended(user, comment) => json!({
                "time": time, "self_id": ACCOUNT, "post_type": "request", "request_type": "friend",
                "user_id": user, "comment": comment, "flag": "u_kZ3pV8nQxW0tLrYc5HsBaA", "via": "QQ群",
            }),
        };
        llonebot.emit(event.to_string()).await;
    }
}

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
