//! Group files, private files and flash transfers.

use serde_json::{Value, json};

use super::{Answer, Call, Failure};
use crate::simulator::account::files::{Deed, Drive, File};

/// Room for a group's files in bytes, and their number, as QQ grants them.
const TOTAL_SPACE: u64 = 10 << 30;
const FILE_LIMIT: u64 = 10_000;

pub(super) fn answer(name: &str, call: &mut Call<'_>) -> Option<Answer> {
    Some(match name {
        "get_group_root_files" => call.with_group(|group| group.drive.list("/")),
        "get_group_files_by_folder" => {
            call.params.text("folder_id").and_then(|folder| call.with_group(|group| group.drive.list(&folder)))
        }
        "get_group_file_system_info" => call.with_group(|group| {
            let files = &group.drive.files;
            json!({
                "file_count": files.len(), "limit_count": FILE_LIMIT,
                "used_space": files.iter().map(|file| file.file_size).sum::<u64>(), "total_space": TOTAL_SPACE,
            })
        }),
        "upload_group_file" => call.upload(),
        "upload_private_file" => call.upload_privately(),
        "delete_group_file" => call.delete_file(),
        "create_group_file_folder" => call.create_folder(),
        "delete_group_folder" => call.with_folder(|drive, folder| {
            drive.files.retain(|file| file.folder != folder);
            drive.folders.retain(|entry| entry.folder_id != folder);
        }),
        "rename_group_file_folder" => call.params.text("new_folder_name").and_then(|name| {
            call.with_folder(|drive, folder| {
                if let Some(entry) = drive.folder(folder) {
                    entry.folder_name = name;
                }
            })
        }),
        "move_group_file" => {
            let target = call.params.text("target_parent_directory");
            target.and_then(|target| call.with_file(|file| file.folder = target))
        }
        "rename_group_file" => {
            call.params.text("new_name").and_then(|name| call.with_file(|file| file.file_name = name))
        }
        "set_group_file_forever" => call.with_file(|file| file.dead_time = 0),
        "get_group_file_url" => call.with_file(|_| {}).map(|_| file_url()),
        "get_private_file_url" => call.params.text("file_id").map(|_| file_url()),
        "get_flash_file_info" => call.flash().map(|(id, link)| {
            json!({
                "file_set_id": id, "title": "开窑照片", "share_link": link, "total_file_size": 384_217,
                "files": [{"name": "开窑.jpg", "size": 384_217}],
            })
        }),
        "download_flash_file" => call.flash().map(|_| Value::Null),
        "get_flash_file_download_urls" => call.flash().map(|(id, link)| {
            let expire = call.now + 3600;
            json!({
                "file_set_id": id, "share_link": link,
                "files": [{"name": "开窑.jpg", "size": 384_217, "url": "https://qfile.qq.com/d/1", "expire": expire}],
            })
        }),
        "upload_flash_file" => call.params.value("paths").map(|_| call.flash_share()),
        "reshare_flash_file" => call.flash().map(|_| call.flash_share()),
        _ => return None,
    })
}

impl Call<'_> {
    fn with_file(&mut self, change: impl FnOnce(&mut File)) -> Answer {
        let file_id = self.params.text("file_id")?;
        let group_id = self.params.id("group_id")?;
        let file = self.group(group_id)?.drive.file(&file_id).ok_or_else(no_file)?;
        change(file);
        Ok(Value::Null)
    }

    fn with_folder(&mut self, change: impl FnOnce(&mut Drive, &str)) -> Answer {
        let folder_id = self.params.text("folder_id")?;
        let group_id = self.params.id("group_id")?;
        let drive = &mut self.group(group_id)?.drive;
        drive.folder(&folder_id).ok_or_else(|| Failure::Thrown("文件夹不存在".to_owned()))?;
        change(drive, &folder_id);
        Ok(Value::Null)
    }

    fn delete_file(&mut self) -> Answer {
        let file_id = self.params.text("file_id")?;
        let group_id = self.params.id("group_id")?;
        let files = &mut self.group(group_id)?.drive.files;
        let before = files.len();
        files.retain(|file| file.file_id != file_id);
        if files.len() == before { Err(no_file()) } else { Ok(Value::Null) }
    }

    fn upload(&mut self) -> Answer {
        let (name, size) = self.offered_file()?;
        let group_id = self.params.id("group_id")?;
        let wanted = [self.params.optional_text("folder_id")?, self.params.optional_text("folder")?];
        let folder = wanted.into_iter().find(|folder| !folder.is_empty()).unwrap_or_else(|| "/".to_owned());
        let (own, nickname, now) = (self.account.self_id, self.account.nickname.clone(), self.now);
        let deed = Deed { group_id, user_id: own, user_name: &nickname, now };

        let account = &mut *self.account;
        let group = account.groups.iter_mut().find(|group| group.group_id == group_id);
        let drive = &mut group.ok_or_else(|| Failure::Thrown(format!("群{group_id}不存在")))?.drive;
        let folder = drive.folder(&folder).map_or(folder, |entry| entry.folder_id.clone());
        let file = drive.upload(&deed, (&name, size, &folder), &mut account.random);
        let shown =
            json!({"id": file.file_id, "name": file.file_name, "size": file.file_size, "busid": file.busid});
        account.tell("group_upload", now, &json!({"file": shown, "group_id": group_id, "user_id": own}));
        Ok(json!({"file_id": file.file_id}))
    }

    fn upload_privately(&mut self) -> Answer {
        self.params.id("user_id")?;
        self.offered_file()?;
        Ok(json!({"file_id": format!("/{}", self.account.random.uuid())}))
    }

    /// Name and size of the file a call brings.
    fn offered_file(&self) -> Result<(String, u64), Failure> {
        let source = self.params.text("file")?;
        let name = self.params.optional_text("name")?;
        let name =
            if name.is_empty() { source.rsplit('/').next().unwrap_or_default().to_owned() } else { name };
        // Four characters of base64 are three bytes.
        let size = source.strip_prefix("base64://").map_or(6121, |base64| base64.len() as u64 / 4 * 3);
        Ok((name, size))
    }

    fn create_folder(&mut self) -> Answer {
        let name = self.params.text("name")?;
        let group_id = self.params.id("group_id")?;
        let (own, nickname, now) = (self.account.self_id, self.account.nickname.clone(), self.now);
        let deed = Deed { group_id, user_id: own, user_name: &nickname, now };
        let account = &mut *self.account;
        let group = account.groups.iter_mut().find(|group| group.group_id == group_id);
        let group = group.ok_or_else(|| Failure::Thrown(format!("群{group_id}不存在")))?;
        Ok(json!({"folder_id": group.drive.create_folder(&deed, &name, &mut account.random)}))
    }

    /// Id and link of the flash transfer a call names by either.
    fn flash(&mut self) -> Result<(String, String), Failure> {
        if self.params.get("share_link").is_some() {
            let link = self.params.text("share_link")?;
            return Ok((self.account.random.uuid(), link));
        }
        let id = self.params.text("file_set_id")?;
        let link = format!("https://qfile.qq.com/q/{}", id.get(..8).unwrap_or(&id));
        Ok((id, link))
    }

    fn flash_share(&mut self) -> Value {
        let id = self.account.random.uuid();
        let link = format!("https://qfile.qq.com/q/{}", id.get(..8).unwrap_or_default());
        json!({"file_set_id": id, "share_link": link, "expire_time": self.now + 7 * 86_400})
    }
}

fn file_url() -> Value {
    json!({"url": "https://njc-download.ftn.qq.com/ftn_handler/simulated"})
}

fn no_file() -> Failure {
    Failure::Thrown("文件不存在".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::as_llonebot as perform;
    use crate::simulator::account::Account;

    const NOW: i64 = 1_795_400_000;

    #[test]
    fn an_uploaded_file_is_told_listed_moved_and_deleted() {
        let mut account = Account::new(1, 1, NOW);
        let group = json!({"group_id": 930_551_846});
        let folder = json!({"group_id": 930_551_846, "name": "曲线"});
        let folder = perform(&mut account, "create_group_file_folder", &folder, NOW).answer.unwrap();
        let upload = json!({"group_id": 930_551_846, "file": "/data/窑温曲线.csv"});
        let uploaded = perform(&mut account, "upload_group_file", &upload, NOW);
        assert_eq!(uploaded.events[0]["file"]["name"], "窑温曲线.csv");
        let file_id = uploaded.answer.unwrap()["file_id"].clone();

        let root = perform(&mut account, "get_group_root_files", &group, NOW).answer.unwrap();
        assert_eq!(root["files"][0]["file_id"], file_id);

        let file = json!({
            "group_id": 930_551_846, "file_id": file_id, "target_parent_directory": folder["folder_id"],
        });
        perform(&mut account, "move_group_file", &file, NOW).answer.unwrap();
        let root = perform(&mut account, "get_group_root_files", &group, NOW).answer.unwrap();
        assert_eq!(root["files"], json!([]));
        assert_eq!(root["folders"][0]["total_file_count"], 1);

        perform(&mut account, "delete_group_file", &file, NOW).answer.unwrap();
        assert!(perform(&mut account, "delete_group_file", &file, NOW).answer.is_err());
    }
}
