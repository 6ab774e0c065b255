//! `publish --live`: a folder in which an encoder makes HLS becomes a stream that its viewers share.
//!
//! A playlist says which segments are whole. Each that is new is hashed and appended to the list; then a bulletin goes
//! beside the playlists, for whoever comes later, and to the signaller, for those who wait. Segments that no playlist
//! names any more stay on the list for as long as there is room: somebody may be a little behind.

use super::bulletin::{News, Playlist, Segment, Stood, chain};
use super::{PublishOptions, kind, replace};
use crate::Error;
use crate::seed::hash_file;
use core::time::Duration;
use ed25519_dalek::SigningKey;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use swarmlet_core::Root;
use swarmlet_core::config::PATH_DEPTH_MAX;
use swarmlet_core::content::Builder;

/// Beside the playlists.
pub(super) const BULLETIN: &str = "swarmlet-live.txt";
/// Between two looks at the folder: viewers cannot know of a segment sooner.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Segments on a bulletin.
const SEGMENTS_MAX: usize = 64;
/// Bytes of a playlist.
const PLAYLIST_BYTES_MAX: u64 = 64 * 1024;
/// Playlists are good for so many times the longest segment: then something is wrong, and the site's server is asked.
const HOLD_SEGMENTS: u64 = 3;
/// For the signaller to take a bulletin.
const POST_DEADLINE: Duration = Duration::from_secs(2);

/// Publishes until it is ended.
pub(super) fn run(options: &PublishOptions, base: Option<&str>, key: &SigningKey) -> Result<(), Error> {
    let mut stream = Stream::resume(&options.folder, key);
    let post = Post::new(&options.signaller)?;
    println!("{}", super::manifest::live_instructions(options, key));
    loop {
        match stream.look(&options.folder) {
            Ok(true) => {
                if let Some(text) = stream.bulletin(base, key) {
                    replace(&options.folder.join(BULLETIN), text.as_bytes())?;
                    post.send(&stream, text);
                }
            }
            Ok(false) => {}
            Err(error) => eprintln!("swarmlet-signaller: {error}"),
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The list so far.
pub(super) struct Stream {
    stream: u64,
    seq: u64,
    first: u64,
    before: Root,
    segments: Vec<Segment>,
    /// Size and time of change of what was hashed.
    hashed: HashMap<String, (u64, SystemTime)>,
    playlists: Vec<Playlist>,
    /// The longest segment that a playlist announces, in seconds.
    longest: u64,
}

impl Stream {
    /// Goes on where the last bulletin in the folder stood, or begins.
    pub(super) fn resume(folder: &Path, key: &SigningKey) -> Self {
        let text = fs::read_to_string(folder.join(BULLETIN)).ok();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64);
        let start = Stood { stream: now, seq: 0, first: 0, before: Root([0; 32]), segments: Vec::new() };
        let stood = text.and_then(|text| Stood::read(&text, key)).unwrap_or(start);
        let Stood { stream, seq, first, before, segments } = stood;
        let (hashed, playlists) = (HashMap::new(), Vec::new());
        Self { stream, seq, first, before, segments, hashed, playlists, longest: 0 }
    }

    /// Takes in what is new. Whether anything is.
    pub(super) fn look(&mut self, folder: &Path) -> Result<bool, Error> {
        let mut playlists = Vec::new();
        find(folder, "", 0, &mut playlists)?;
        if playlists == self.playlists {
            return Ok(false);
        }
        let mut named = BTreeSet::new();
        self.longest = 0;
        for playlist in &playlists {
            self.longest = self.longest.max(target_seconds(&playlist.text));
            for path in segments_of(playlist) {
                if let Some(segment) = self.hash(folder, &path)? {
                    self.segments.push(segment);
                }
                named.insert(path);
            }
        }
        self.playlists = playlists;
        self.cut(&named);
        self.seq += 1;
        Ok(true)
    }

    /// A segment that is not on the list yet, as it is now.
    fn hash(&mut self, folder: &Path, path: &str) -> Result<Option<Segment>, Error> {
        let file = folder.join(path);
        let Ok(data) = fs::metadata(&file) else { return Ok(None) };
        let look = (data.len(), data.modified().unwrap_or(UNIX_EPOCH));
        if !data.is_file() || data.len() == 0 || self.hashed.get(path) == Some(&look) {
            return Ok(None);
        }
        let unfit = |error: &dyn ToString| Error::Unfit(file.clone(), error.to_string());
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let mut builder =
            Builder::new("live", &[(vec![name], data.len())], Vec::new()).map_err(|e| unfit(&e))?;
        hash_file(&mut builder, 0, &file, &mut |_| true)?;
        let built = builder.finish().map_err(|error| unfit(&error))?;
        let Some(root) = built.torrent.info.files.first().and_then(|entry| entry.root) else {
            return Ok(None);
        };
        self.hashed.insert(path.to_owned(), look);
        let kind = kind::of(path, super::manifest::first_byte(&file));
        let segment = Segment { path: path.to_owned(), size: data.len(), root, kind };
        // One that was listed before this program was started again.
        let last = self.segments.iter().rev().find(|known| known.path == path);
        Ok((last != Some(&segment)).then_some(segment))
    }

    /// Forgets the oldest beyond what a bulletin holds, but none that a playlist names.
    fn cut(&mut self, named: &BTreeSet<String>) {
        let most = self.segments.len().saturating_sub(SEGMENTS_MAX);
        let over =
            self.segments.iter().take(most).take_while(|segment| !named.contains(&segment.path)).count();
        for segment in self.segments.drain(..over) {
            self.before = chain(self.before, &segment);
            self.first += 1;
            self.hashed.remove(&segment.path);
        }
    }

    /// What there is to say. Where it is too much, the oldest are forgotten, and at last the playlists.
    pub(super) fn bulletin(&self, base: Option<&str>, key: &SigningKey) -> Option<String> {
        let mut most = self.segments.len();
        for playlists in [self.playlists.as_slice(), &[]] {
            loop {
                let skipped = self.segments.len() - most;
                let before = self.segments.iter().take(skipped).fold(self.before, chain);
                let news = News {
                    stream: self.stream,
                    seq: self.seq,
                    first: self.first + skipped as u64,
                    before,
                    segments: self.segments.get(skipped..).unwrap_or(&[]),
                    playlists,
                    hold: self.longest.clamp(1, 60) * HOLD_SEGMENTS * 1000,
                    base,
                };
                if let Some(text) = news.sign(key) {
                    return Some(text);
                }
                if most <= SEGMENTS_MAX / 8 {
                    break;
                }
                most = most * 3 / 4;
            }
        }
        None
    }

    fn newest(&self) -> &str {
        self.segments.last().map_or("no segment yet", |segment| segment.path.as_str())
    }
}

/// All playlists of a folder, by path.
fn find(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<Playlist>) -> Result<(), Error> {
    let unreadable = |error| Error::Read(folder.to_owned(), error);
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Ok(data) = entry.metadata() else { continue };
        let path = format!("{prefix}{name}");
        if data.is_dir() && depth + 1 < PATH_DEPTH_MAX {
            find(&entry.path(), &format!("{path}/"), depth + 1, found)?;
        } else if name.ends_with(".m3u8")
            && data.len() <= PLAYLIST_BYTES_MAX
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            let kind = kind::of(&path, None);
            found.push(Playlist { path, text, kind });
        }
    }
    Ok(())
}

/// The segments that a playlist names (RFC 8216 §4), as paths from the stream's folder: lines that are no tags, and what
/// `EXT-X-MAP` has as its address. Other playlists, and what is elsewhere, are left out.
fn segments_of(playlist: &Playlist) -> Vec<String> {
    let folder = playlist.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut paths = Vec::new();
    for line in playlist.text.lines().map(str::trim) {
        let address = if line.starts_with("#EXT-X-MAP:") {
            line.split_once("URI=\"").and_then(|(_, rest)| rest.split_once('"')).map_or("", |(uri, _)| uri)
        } else if line.starts_with('#') {
            ""
        } else {
            line
        };
        let decoded = percent_encoding::percent_decode_str(address).decode_utf8().ok();
        let Some(address) = decoded.filter(|address| is_plain(address)) else { continue };
        paths.push(if folder.is_empty() { address.into_owned() } else { format!("{folder}/{address}") });
    }
    paths
}

/// Whether an address is a file below its playlist's folder, and no playlist itself.
fn is_plain(address: &str) -> bool {
    let odd =
        address.contains(['?', '#', '\\', '\0', '\n']) || address.contains("://") || address.starts_with('/');
    let steps = address.split('/').any(|step| step.is_empty() || step.starts_with('.'));
    !odd && !steps && !address.ends_with(".m3u8")
}

fn target_seconds(text: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-TARGETDURATION:"));
    lines.filter_map(|digits| digits.trim().parse().ok()).max().unwrap_or(0)
}

/// The way to the signaller.
struct Post {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    url: String,
}

impl Post {
    fn new(signaller: &str) -> Result<Self, Error> {
        let failed = |error: &dyn ToString| Error::Start(error.to_string());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let client =
            reqwest::Client::builder().timeout(POST_DEADLINE).build().map_err(|error| failed(&error))?;
        let url = format!("{}/swarmlet/live", signaller.trim_end_matches('/'));
        Ok(Self { runtime, client, url })
    }

    /// Sends a bulletin, and says how it went.
    fn send(&self, stream: &Stream, text: String) {
        let (newest, seq) = (stream.newest().to_owned(), stream.seq);
        let request = self.client.post(&self.url).body(text);
        self.runtime.spawn(async move {
            let said = match request.send().await {
                Ok(answer) if answer.status().is_success() => "told".to_owned(),
                Ok(answer) => format!("the signaller says {}", answer.status()),
                Err(error) => format!("the signaller is not there: {error}"),
            };
            println!("{seq} {newest}: {said}");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::bulletin::Bulletin;
    use super::*;

    fn playlist(path: &str, text: &str) -> Playlist {
        Playlist { path: path.into(), text: text.into(), kind: "" }
    }

    #[test]
    fn a_playlist_names_segments_below_it_and_nothing_else() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"9@0\"\n#EXTINF:4,\na%20b.ts\n\
            #EXTINF:4,\nsub/c.m4s\n../up.ts\nhttps://else.example/d.ts\n/root.ts\nother.m3u8\n.hidden\ne.ts?token=1\n";
        assert_eq!(segments_of(&playlist("x.m3u8", text)), ["init.mp4", "a b.ts", "sub/c.m4s"]);
        assert_eq!(segments_of(&playlist("v/x.m3u8", text)), ["v/init.mp4", "v/a b.ts", "v/sub/c.m4s"]);
        assert_eq!(target_seconds(text), 4);
    }

    #[test]
    fn the_list_grows_and_goes_on_after_a_start() {
        let folder = std::env::temp_dir().join(format!("swarmlet-live-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let key = SigningKey::from_bytes(&[5; 32]);
        let mut stream = Stream::resume(&folder, &key);
        let mut last = (0, 0);
        let mut say = |stream: &mut Stream, upto: usize| {
            let from = upto.saturating_sub(5);
            fs::write(folder.join(format!("{upto}.ts")), [&[0x47][..], &[upto as u8; 20_000]].concat())
                .unwrap();
            let names: String = (from..=upto).map(|at| format!("#EXTINF:2,\n{at}.ts\n")).collect();
            fs::write(folder.join("index.m3u8"), format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n{names}"))
                .unwrap();
            assert!(stream.look(&folder).unwrap() && !stream.look(&folder).unwrap());
            let text = stream.bulletin(None, &key).unwrap();
            let bulletin = Bulletin::read(&text).unwrap();
            assert!(bulletin.order() > last);
            last = bulletin.order();
            fs::write(folder.join(BULLETIN), &text).unwrap();
            text
        };
        for upto in 0..100 {
            say(&mut stream, upto);
        }
        let stood = Stood::read(&say(&mut stream, 100), &key).unwrap();
        assert_eq!(stood.segments.last().map(|segment| segment.path.as_str()), Some("100.ts"));
        assert!(stood.segments.len() <= SEGMENTS_MAX && stood.first > 0);
        let head = stood.segments.iter().fold(stood.before, chain);
        // Started again: the same list, one more.
        let mut stream = Stream::resume(&folder, &key);
        let after = Stood::read(&say(&mut stream, 101), &key).unwrap();
        let count = |stood: &Stood| stood.first + stood.segments.len() as u64;
        assert_eq!((after.stream, count(&after)), (stood.stream, count(&stood) + 1));
        let upto = (count(&stood) - after.first) as usize;
        assert_eq!(
            after.segments[..upto].iter().fold(after.before, chain),
            head,
            "nothing before it has changed"
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
