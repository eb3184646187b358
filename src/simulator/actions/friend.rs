//! Friends, strangers and the account's own profile.

use serde_json::{Value, json};

use super::{Answer, Call, Failure};
use crate::simulator::account::people::Friend;

pub(super) fn answer(name: &str, call: &mut Call<'_>) -> Option<Answer> {
    Some(match name {
        "get_friend_list" => Ok(json!(call.account.friends)),
        "get_friends_with_category" => Ok(call.categories()),
        "get_stranger_info" => call.stranger(),
        "delete_friend" => call.delete_friend(),
        "set_friend_add_request" => call.answer_friend_request(),
        "set_friend_remark" => call
            .params
            .optional_text("remark")
            .and_then(|remark| call.with_friend(|friend| friend.remark = remark)),
        "set_friend_category" => call
            .params
            .id("category_id")
            .and_then(|category| call.with_friend(|friend| friend.category = category)),
        "send_like" | "set_input_status" => call.params.id("user_id").map(|_| Value::Null),
        "set_qq_avatar" => call.params.text("file").map(|_| Value::Null),
        "get_qq_avatar" => call.avatar(),
        "get_profile_like" | "get_profile_like_me" => Ok(json!({"users": [], "nextStart": -1})),
        "get_profile_like_count" => call.params.id("user_id").map(|_| json!({"count": 128})),
        "get_doubt_friends_add_request" => Ok(json!([])),
        "set_doubt_friends_add_request" => call.params.text("flag").map(|_| Value::Null),
        "set_online_status" => call.params.id("status").map(|_| Value::Null),
        "set_qq_profile" => call.params.text("nickname").map(|nickname| {
            call.account.nickname = nickname;
            Value::Null
        }),
        _ => return None,
    })
}

impl Call<'_> {
    fn with_friend(&mut self, change: impl FnOnce(&mut Friend)) -> Answer {
        let user_id = self.params.id("user_id")?;
        let friend = self.account.friend(user_id).ok_or_else(|| not_a_friend(user_id))?;
        change(friend);
        Ok(Value::Null)
    }

    fn categories(&self) -> Value {
        let friends = &self.account.friends;
        let mut ids: Vec<_> = friends.iter().map(|friend| friend.category).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
            .map(|id| {
                let members: Vec<_> = friends.iter().filter(|friend| friend.category == id).collect();
                let name = if id == 0 { "我的好友".to_owned() } else { format!("分组{id}") };
                json!({
                    "categoryId": id, "categorySortId": id, "categoryName": name,
                    "categoryMbCount": members.len(), "onlineCount": 0, "buddyList": members,
                })
            })
            .collect()
    }

    fn stranger(&mut self) -> Answer {
        let user_id = self.params.id("user_id")?;
        let remark = self.account.friend(user_id).map(|friend| friend.remark.clone()).unwrap_or_default();
        Ok(json!({
            "user_id": user_id, "nickname": self.account.name_of(user_id), "sex": "unknown", "age": 0, "qid": "",
            "level": 48, "login_days": 1903, "reg_time": 1_420_041_600, "long_nick": "", "city": "", "country": "",
            "birthday_year": 0, "birthday_month": 0, "birthday_day": 0, "labels": [], "is_vip": true,
            "is_svip": false, "is_years_vip": false, "vip_level": 5, "remark": remark,
        }))
    }

    fn delete_friend(&mut self) -> Answer {
        let user_id = self.params.id("user_id")?;
        self.account.friends.retain(|friend| friend.user_id != user_id);
        Ok(Value::Null)
    }

    fn answer_friend_request(&mut self) -> Answer {
        let flag = self.params.text("flag")?;
        let approve = self.params.flag("approve", true)?;
        let remark = self.params.optional_text("remark")?;
        let request = self.take_request(&flag).ok_or_else(|| Failure::Thrown("好友请求不存在".to_owned()))?;
        let user_id = request.get("user_id").and_then(Value::as_i64).unwrap_or_default();
        if approve && self.account.friend(user_id).is_none() {
            let name = self.account.name_of(user_id);
            let mut friend = Friend::new(user_id, &name);
            friend.remark = remark;
            self.account.friends.push(friend);
            self.account.tell("friend_add", self.now, &json!({"user_id": user_id}));
        }
        Ok(Value::Null)
    }

    fn avatar(&mut self) -> Answer {
        if let Some(group_id) = self.params.optional_id("group_id")? {
            return Ok(json!({"url": format!("https://p.qlogo.cn/gh/{group_id}/{group_id}/0")}));
        }
        let user_id = self.params.id("user_id")?;
        Ok(json!({"url": format!("https://q1.qlogo.cn/g?b=qq&nk={user_id}&s=0")}))
    }
}

fn not_a_friend(user_id: i64) -> Failure {
    Failure::Thrown(format!("用户{user_id}不是好友"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::as_llonebot as perform;
    use crate::simulator::account::Account;

    const NOW: i64 = 1_795_400_000;

    #[test]
    fn an_approved_request_makes_a_friend_who_can_be_deleted() {
        let mut account = Account::new(1, 1, NOW);
        let is_friend = |account: &mut Account| {
            let list = perform(account, "get_friend_list", &json!({}), NOW).answer.unwrap();
            list.as_array().unwrap().iter().any(|friend| friend["user_id"] == 1_904_472_650)
        };
        assert!(!is_friend(&mut account));
        let params = json!({"flag": "u_kZ3pV8nQxW0tLrYc5HsBaA", "remark": "路人"});
        let outcome = perform(&mut account, "set_friend_add_request", &params, NOW);
        assert_eq!(outcome.answer, Ok(Value::Null));
        assert_eq!(outcome.events[0]["notice_type"], "friend_add");
        assert!(is_friend(&mut account));
        perform(&mut account, "delete_friend", &json!({"user_id": "1904472650"}), NOW).answer.unwrap();
        assert!(!is_friend(&mut account));
    }
}
