//! The fingerprint of a folder: a JSON file in it lists the SHA-256 of the other files, and holds a
//! hash of its own text, of every byte except that hash itself.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Prefix of the hash of a text.
const KIND: &str = "sha256:";

/// Hashes of the files in a folder of results or of moments, to detect damaged and mixed files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// SHA-256, as `sha256sum` prints it, of the files beside the one that holds this, by name with
    /// slashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Hash of the file that holds this; absent in files by tiers 0.1.0 or another program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl Seal {
    /// Adds the hash of a file of a folder.
    pub fn add(&mut self, folder: &Path, name: &str) -> io::Result<()> {
        let (hash, _) = hash_file(&folder.join(name))?;
        self.files.insert(name.to_owned(), hash);
        Ok(())
    }

    /// Returns the text of the file that holds this, with its fingerprint. `to_text` formats the text.
    pub fn close(&mut self, mut to_text: impl FnMut(&Seal) -> String) -> String {
        self.fingerprint = Some(KIND.to_owned());
        let open = to_text(self);
        self.fingerprint = Some(of(&open, KIND));
        to_text(self)
    }

    /// Whether the text that holds this is unchanged.
    pub fn is_intact(&self, text: &str) -> bool {
        self.fingerprint.as_ref().is_some_and(|own| *own == of(text, own))
    }

    /// Whether a file of the folder has the listed hash.
    pub fn holds(&self, folder: &Path, name: &str) -> io::Result<bool> {
        let Some(listed) = self.files.get(name) else { return Ok(false) };
        Ok(hash_file(&folder.join(name))?.0 == *listed)
    }
}

/// Computes the fingerprint of a text in which `now` is in the place of the fingerprint.
fn of(text: &str, now: &str) -> String {
    let (before, after) = text.rsplit_once(&format!("\"{now}\"")).unwrap_or((text, ""));
    let mut hash = Sha256::new();
    // The length is hashed too, so that bytes cannot move from one part to the other.
    hash.update((before.len() as u64).to_le_bytes());
    hash.update(before.as_bytes());
    hash.update(after.as_bytes());
    format!("{KIND}{}", in_hex(&hash.finalize()))
}

/// Returns the SHA-256 of a text.
pub fn hash(text: &str) -> String {
    in_hex(&Sha256::digest(text.as_bytes()))
}

/// Returns the SHA-256 of a file, as `sha256sum` prints it, and its size.
pub fn hash_file(path: &Path) -> io::Result<(String, u64)> {
    let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
    let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((in_hex(&hasher.finalize()), bytes)),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                bytes += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_match_sha256sum() {
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn every_byte_of_the_text_counts() {
        let mut seal = Seal::default();
        seal.files.insert("a.parquet".to_owned(), hash("1"));
        let text = seal.close(|seal| serde_json::to_string(seal).expect("plain data") + "\n");
        assert!(seal.is_intact(&text));
        for i in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[i] = if bytes[i] == b'0' { b'1' } else { b'0' };
            let altered = String::from_utf8(bytes).expect("ASCII");
            let read = serde_json::from_str::<Seal>(&altered);
            assert!(!read.is_ok_and(|seal| seal.is_intact(&altered)), "{altered}");
        }
        assert!(!Seal::default().is_intact(&text));
        assert!(!Seal { fingerprint: Some(String::new()), ..seal }.is_intact(&text));
    }
}
