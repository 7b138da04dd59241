//! The picture of a Label Studio task, which its data names by an address.

use serde_json::Value;

use crate::data::extensions::is_picture;

/// Keys that tasks commonly have their picture under.
const KEYS: [&str; 6] = ["image", "img", "picture", "photo", "image_url", "url"];

/// Returns the path of a task's picture; an error says why there is none.
pub(super) fn picture_name(task: &Value) -> Result<String, String> {
    let data = task.get("data").unwrap_or(task);
    let common = KEYS.iter().filter_map(|key| data.get(key)?.as_str());
    if let Some(found) = common.clone().find_map(path_of) {
        return Ok(found);
    }
    if common.clone().any(|address| address.starts_with("data:")) {
        return Err("its picture is embedded in the export; add the pictures as files, and name them in the tasks' data"
            .to_owned());
    }
    let others = data.as_object().into_iter().flat_map(|data| data.values());
    let uploaded = task.get("file_upload").into_iter();
    others
        .chain(uploaded)
        .filter_map(Value::as_str)
        .filter_map(path_of)
        .find(|path| is_picture(path))
        .ok_or_else(|| "its data names no picture; expected an address under \"image\"".to_owned())
}

/// Returns the path in an address such as `/data/upload/1/a.jpg`, `/data/local-files/?d=a.jpg` or
/// `s3://bucket/a.jpg?token`.
fn path_of(address: &str) -> Option<String> {
    let address = address.trim();
    if address.is_empty() || address.starts_with("data:") {
        return None;
    }
    let (place, query) = address.split_once('?').unwrap_or((address, ""));
    let local = query.split('&').find_map(|part| part.strip_prefix("d="));
    let path = match (local, place.split_once("://")) {
        (Some(local), _) => local,
        (None, Some((_, rest))) => {
            let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
            rest.split_once('/')?.1
        }
        (None, None) => place,
    };
    Some(unquoted(path)).filter(|path| !path.is_empty())
}

/// Decodes `%20` and the like.
fn unquoted(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_picture_is_found_in_every_kind_of_address() {
        for (address, path) in [
            ("/data/upload/1/0a1b2c3d-a.jpg", "/data/upload/1/0a1b2c3d-a.jpg"),
            ("/data/local-files/?d=sets/one%20two%5Ca%26b.jpg", "sets/one two\\a&b.jpg"),
            ("https://example.org/p/%E9%A1%94.jpg?token=a/b#c", "p/顔.jpg"),
            ("s3://bucket/p/a.jpg", "p/a.jpg"),
            ("a.jpg", "a.jpg"),
            ("100%.jpg", "100%.jpg"),
            ("%ff.jpg", "%ff.jpg"),
        ] {
            assert_eq!(path_of(address).as_deref(), Some(path));
        }
        assert_eq!(path_of("data:image/png;base64,AAAA"), None);
        assert_eq!(path_of("s3://bucket"), None);
    }

    #[test]
    fn the_picture_is_found_under_any_key() {
        for task in [
            json!({"data": {"note": "a.jpg", "image": "b.jpg"}}),
            json!({"data": {"note": "a", "frame": "b.jpg"}}),
            json!({"data": {}, "file_upload": "b.jpg"}),
            json!({"id": 1, "frame": "b.jpg"}),
        ] {
            assert_eq!(picture_name(&task).as_deref(), Ok("b.jpg"), "{task}");
        }
        for task in [json!(7), json!({"data": {"text": "a"}}), json!({"data": {"image": 7}})] {
            assert!(picture_name(&task).unwrap_err().starts_with("its data names no picture"));
        }
    }
}
