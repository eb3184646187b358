//! Group albums.

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::simulator::object::field;

pub(super) fn answer(name: &str, call: &mut Call<'_>) -> Option<Answer> {
    Some(match name {
        "get_group_album_list" => call.with_group(|group| json!(group.albums)),
        "get_group_album_media_list" => call.params.text("album_id").and_then(|album_id| {
            call.with_group(|group| {
                let album = group.albums.iter().find(|album| field(album, "album_id") == album_id.as_str());
                json!({"album": album, "media_list": [], "next_attach_info": "", "next_has_more": false})
            })
        }),
        "create_group_album" => call.create_album(),
        "delete_group_album" => call.params.text("album_id").and_then(|album_id| {
            call.with_group(|group| {
                group.albums.retain(|album| field(album, "album_id") != album_id.as_str());
                Value::Null
            })
        }),
        "upload_group_album" => {
            let given = call.params.text("album_id").and(call.params.value("files").cloned());
            given.and_then(|_| call.with_group(|_| json!({})))
        }
        _ => return None,
    })
}

impl Call<'_> {
    fn create_album(&mut self) -> Answer {
        let name = self.params.text("name")?;
        let desc = self.params.optional_text("desc")?;
        let (own, album_id) = (self.account.self_id, self.account.random.uuid());
        let album = json!({"album_id": album_id, "owner": own.to_string(), "name": name, "desc": desc});
        self.with_group(|group| {
            group.albums.push(album.clone());
            album
        })
    }
}
