//! `.handle_quick_operation`: a webhook's answer, put into actions.

use serde_json::{Value, json};

use super::params::Params;
use super::{ANSWERERS, Answer, Call, Failure};
use crate::simulator::object::{field, put};

pub(super) fn answer(name: &str, call: &mut Call<'_>) -> Option<Answer> {
    (name == ".handle_quick_operation").then(|| call.quick_operation())
}

impl Call<'_> {
    /// Answers at once; what goes wrong is only logged by LLOneBot, so it is nowhere to be seen here.
    fn quick_operation(&mut self) -> Answer {
        let context = self.params.value("context")?;
        let operation = self.params.value("operation")?;
        if field(context, "request_type").is_string() {
            self.decide(context, operation);
        } else {
            self.react_to(context, operation)?;
        }
        Ok(Value::Null)
    }

    fn react_to(&mut self, context: &Value, operation: &Value) -> Result<(), Failure> {
        let wanted = |key: &str| field(operation, key) == &Value::Bool(true);
        let in_group = field(context, "message_type") == "group";
        if !field(operation, "reply").is_null() {
            let mut segments = vec![json!({"type": "reply", "data": {"id": field(context, "message_id")}})];
            if in_group && wanted("at_sender") {
                segments.push(json!({"type": "at", "data": {"qq": field(context, "user_id")}}));
            }
            segments.extend(self.outgoing(field(operation, "reply"), wanted("auto_escape"))?);
            let target = if in_group { "group_id" } else { "user_id" };
            let mut params = json!({"message": segments});
            put(&mut params, target, field(context, target).clone());
            self.act(if in_group { "send_group_msg" } else { "send_private_msg" }, &params);
        }
        let whom = json!({"group_id": field(context, "group_id"), "user_id": field(context, "user_id")});
        if in_group && wanted("delete") {
            self.act("delete_msg", &json!({"message_id": field(context, "message_id")}));
        }
        if in_group && wanted("ban") {
            let mut params = whom.clone();
            put(&mut params, "duration", field(operation, "ban_duration").clone());
            self.act("set_group_ban", &params);
        }
        if in_group && wanted("kick") {
            self.act("set_group_kick", &whom);
        }
        Ok(())
    }

    fn decide(&mut self, context: &Value, operation: &Value) {
        let approve = field(operation, "approve");
        if approve.is_null() {
            return;
        }
        let params = json!({
            "flag": field(context, "flag"), "approve": approve, "remark": field(operation, "remark"),
            "reason": field(operation, "reason"),
        });
        let friend = field(context, "request_type") == "friend";
        self.act(if friend { "set_friend_add_request" } else { "set_group_add_request" }, &params);
    }

    fn act(&mut self, name: &str, params: &Value) {
        if let Value::Object(params) = params {
            let mut call = Call { account: &mut *self.account, params: Params(params), now: self.now };
            // Nobody hears of a failure.
            let _ = ANSWERERS.iter().find_map(|answer| answer(name, &mut call));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::as_llonebot as perform;
    use crate::simulator::account::Account;

    const NOW: i64 = 1_795_400_000;

    /// The kinds of what happened.
    fn effects(context: &Value, operation: &Value) -> Vec<String> {
        let mut account = Account::new(2_847_190_563, 1, NOW);
        let params = json!({"context": context, "operation": operation});
        let outcome = perform(&mut account, ".handle_quick_operation", &params, NOW);
        assert_eq!(outcome.answer, Ok(Value::Null));
        let kind = |event: &Value| event.get("notice_type").or(event.get("raw_message")).cloned();
        outcome.events.iter().filter_map(kind).map(|kind| kind.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_message_is_answered_and_its_sender_punished() {
        let context = json!({
            "post_type": "message", "message_type": "group", "group_id": 618_204_977,
            "user_id": 3_051_882_469_i64, "message_id": 720_338_194,
        });
        let operation =
            json!({"reply": "查询中…", "at_sender": true, "delete": true, "ban": true, "kick": true});
        assert_eq!(
            effects(&context, &operation),
            [
                "[CQ:reply,id=720338194][CQ:at,qq=3051882469,name=Loess]查询中…",
                "group_recall",
                "group_ban",
                "group_decrease"
            ]
        );
        assert!(effects(&context, &json!({})).is_empty());
    }

    #[test]
    fn a_request_is_decided_only_if_asked() {
        let context = json!({
            "post_type": "request", "request_type": "friend", "user_id": 1_904_472_650,
            "flag": "u_kZ3pV8nQxW0tLrYc5HsBaA",
        });
        assert_eq!(effects(&context, &json!({"approve": true, "remark": "路人"})), ["friend_add"]);
        assert!(effects(&context, &json!({"approve": false})).is_empty());
        assert!(effects(&context, &json!({"remark": "路人"})).is_empty());
    }
}
