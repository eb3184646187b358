//! NapCat's stream actions: downloads are answered in several frames with one echo, uploads in one frame for
//! each chunk that is sent.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Call, Failure};
use crate::simulator::object::put;

/// Between two frames of one answer, so that events and other replies come in between.
pub(crate) const PACE: Duration = Duration::from_millis(100);
/// Bytes of the invented file, in base64: three chunks.
const CHUNKS: [&str; 3] = ["57qs5ouh5byA55eV", "6Z2S55O35byA54mH", "5p+054On"];
/// Uploads that are not complete yet and remembered.
const MAX_UPLOADS: usize = 100;

/// Whether the answer comes in frames marked as parts of a stream.
pub(crate) fn is_stream(name: &str) -> bool {
    matches!(
        name,
        "upload_file_stream"
            | "download_file_stream"
            | "download_file_image_stream"
            | "download_file_record_stream"
            | "test_download_stream"
    )
}

/// The frames before the last go to `parts`.
pub(super) fn answer(name: &str, call: &mut Call<'_>, parts: &mut Vec<Value>) -> Answer {
    match name {
        "upload_file_stream" => call.upload_chunk(),
        "test_download_stream" => {
            let text = |index| format!("Index-> {index}");
            parts.extend(
                (1..=10)
                    .map(|index| json!({"type": "stream", "data": text(index), "data_type": "data_chunk"})),
            );
            if call.params.flag("error", false)? {
                return Err(Failure::Thrown("This is a test error".to_owned()));
            }
            Ok(json!({
                "type": "response", "data_type": "data_complete", "data": "Stream transmission complete",
            }))
        }
        _ => call.download(parts),
    }
}

impl Call<'_> {
    fn download(&self, parts: &mut Vec<Value>) -> Answer {
        let key = if self.params.get("file_id").is_some() { "file_id" } else { "file" };
        let name = self.params.text(key)?;
        let sizes = CHUNKS.map(|chunk| chunk.len() / 4 * 3);
        let total: usize = sizes.iter().sum();
        parts.push(json!({
            "type": "stream", "data_type": "file_info", "file_name": name, "file_size": total,
            "chunk_size": 65_536,
        }));
        let mut sent = 0;
        for (index, (chunk, size)) in CHUNKS.into_iter().zip(sizes).enumerate() {
            sent += size;
            parts.push(json!({
                "type": "stream", "data_type": "file_chunk", "index": index, "data": chunk, "size": size,
                "progress": sent * 100 / total, "base64_size": chunk.len(),
            }));
        }
        Ok(json!({
            "type": "response", "data_type": "file_complete", "total_chunks": CHUNKS.len(), "total_bytes": total,
            "message": "Download completed",
        }))
    }

    fn upload_chunk(&mut self) -> Answer {
        let stream_id = self.params.text("stream_id")?;
        let total = self.params.optional_id("total_chunks")?;
        let has_chunk = self.params.get("chunk_data").is_some();
        let uploads = &mut self.account.uploads;
        if !uploads.contains_key(&stream_id) {
            let total =
                total.ok_or_else(|| Failure::Thrown("total_chunks required for new stream".to_owned()))?;
            if uploads.len() >= MAX_UPLOADS {
                uploads.pop_first();
            }
            uploads.insert(stream_id.clone(), (0, total));
        }
        let Some((received, total)) = uploads.get_mut(&stream_id) else {
            return Err(Failure::Thrown("Stream not found".to_owned()));
        };
        let (kind, status) = if has_chunk {
            *received += 1;
            ("stream", "chunk_received")
        } else if self.params.flag("is_complete", false)? || received == total {
            ("response", "file_complete")
        } else {
            ("stream", "file_created")
        };
        let mut data = json!({
            "type": kind, "stream_id": stream_id, "status": status, "received_chunks": *received,
            "total_chunks": *total,
        });
        if kind == "response" {
            put(&mut data, "file_path", format!("/tmp/napcat/{stream_id}"));
            uploads.remove(&stream_id);
        }
        Ok(data)
    }
}
