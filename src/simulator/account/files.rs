//! The files of a group.

use serde::Serialize;
use serde_json::{Value, json};

use crate::simulator::random::Random;

#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
pub(crate) struct File {
    group_id: i64,
    pub(crate) file_id: String,
    pub(crate) file_name: String,
    pub(crate) busid: i64,
    pub(crate) file_size: u64,
    upload_time: i64,
    pub(crate) dead_time: i64,
    modify_time: i64,
    download_times: u64,
    uploader: i64,
    uploader_name: String,
    /// `/` is the root.
    #[serde(skip)]
    pub(crate) folder: String,
}

#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
pub(crate) struct Folder {
    group_id: i64,
    pub(crate) folder_id: String,
    pub(crate) folder_name: String,
    create_time: i64,
    creator: i64,
    creator_name: String,
    pub(crate) total_file_count: usize,
    modify_time: i64,
    modifier: i64,
    modifier_name: String,
}

/// A group's file store: one level of folders, as QQ has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drive {
    pub(crate) files: Vec<File>,
    pub(crate) folders: Vec<Folder>,
}

/// Where, who and when of an upload or a new folder.
pub(crate) struct Deed<'a> {
    pub(crate) group_id: i64,
    pub(crate) user_id: i64,
    pub(crate) user_name: &'a str,
    pub(crate) now: i64,
}

impl Drive {
    pub(crate) fn upload(
        &mut self,
        deed: &Deed<'_>,
        (name, size, folder): (&str, u64, &str),
        random: &mut Random,
    ) -> File {
        let file = File {
            group_id: deed.group_id,
            file_id: format!("/{}", random.uuid()),
            file_name: name.to_owned(),
            busid: 102,
            file_size: size,
            upload_time: deed.now,
            dead_time: 0,
            modify_time: deed.now,
            download_times: 0,
            uploader: deed.user_id,
            uploader_name: deed.user_name.to_owned(),
            folder: folder.to_owned(),
        };
        self.files.push(file.clone());
        file
    }

    pub(crate) fn create_folder(&mut self, deed: &Deed<'_>, name: &str, random: &mut Random) -> String {
        let folder_id = format!("/{}", random.uuid());
        self.folders.push(Folder {
            group_id: deed.group_id,
            folder_id: folder_id.clone(),
            folder_name: name.to_owned(),
            create_time: deed.now,
            creator: deed.user_id,
            creator_name: deed.user_name.to_owned(),
            total_file_count: 0,
            modify_time: deed.now,
            modifier: deed.user_id,
            modifier_name: deed.user_name.to_owned(),
        });
        folder_id
    }

    /// The folder of that id, or of that name.
    pub(crate) fn folder(&mut self, key: &str) -> Option<&mut Folder> {
        self.folders.iter_mut().find(|folder| folder.folder_id == key || folder.folder_name == key)
    }

    pub(crate) fn file(&mut self, file_id: &str) -> Option<&mut File> {
        self.files.iter_mut().find(|file| file.file_id == file_id)
    }

    /// `{files, folders}` of one folder; only the root has folders.
    pub(crate) fn list(&self, folder: &str) -> Value {
        let files: Vec<_> = self.files.iter().filter(|file| file.folder == folder).collect();
        let folders: Vec<_> = self
            .folders
            .iter()
            .filter(|_| folder == "/")
            .map(|entry| {
                let count = self.files.iter().filter(|file| file.folder == entry.folder_id).count();
                Folder { total_file_count: count, ..entry.clone() }
            })
            .collect();
        json!({"files": files, "folders": folders})
    }
}
