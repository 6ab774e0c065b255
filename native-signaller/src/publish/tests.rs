use super::*;
use ed25519_dalek::{Signature, SigningKey, Verifier};
use swarmlet_core::content::Torrent;

struct Site(PathBuf);

impl Site {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("swarmlet-publish-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("img")).unwrap();
        fs::write(folder.join("img/a.png"), vec![1; 40_000]).unwrap();
        fs::write(folder.join("big.zip"), vec![2; 300_000]).unwrap();
        fs::write(folder.join("small.css"), "p {}").unwrap();
        fs::write(folder.join(".secret"), vec![3; 40_000]).unwrap();
        fs::write(folder.join("img/draft.png"), vec![4; 40_000]).unwrap();
        Self(folder)
    }

    fn options(&self) -> PublishOptions {
        PublishOptions {
            folder: self.0.clone(),
            base_url: Some("https://shop.example/s".to_owned()),
            sign: None,
            watch: false,
            live: false,
            check: false,
            signaller: "https://swarm.example/".to_owned(),
            min_size: 16 * 1024,
            exclude: vec!["*/draft*".to_owned()],
            rehash: false,
            policy: None,
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn manifest(&self) -> serde_json::Value {
        serde_json::from_str(&self.read("swarmlet.json")).unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_site_becomes_a_manifest_and_a_torrent_that_agree() {
    let site = Site::new("agree");
    run(&site.options()).unwrap();
    let manifest = site.manifest();
    let torrent = Torrent::parse(&fs::read(site.0.join("swarmlet.torrent")).unwrap()).unwrap();
    assert_eq!(manifest["content"], torrent.info.content.to_string());
    assert_eq!(manifest["topic"], torrent.info.topic().to_string());
    assert_eq!(torrent.web_seeds, ["https://shop.example/s/#"]);
    assert_eq!(torrent.info.name, "shop.example");
    let files = manifest["files"].as_array().unwrap();
    assert_eq!(files.len(), 2, "{files:?}");
    for (listed, entry) in files.iter().zip(&torrent.info.files) {
        assert_eq!(listed[0], entry.path.join("/"));
        assert_eq!(listed[1], entry.length);
        assert_eq!(listed[2], entry.root.unwrap().to_string());
    }
    assert_eq!(files[0][3], "application/zip");
    assert_eq!(files[1][3], "image/png");
}

#[test]
fn only_what_has_changed_is_hashed_again() {
    let site = Site::new("again");
    let options = site.options();
    run(&options).unwrap();
    let before = site.manifest();
    fs::write(site.0.join("img/new.webp"), vec![5; 70_000]).unwrap();
    fs::write(site.0.join("img/a.png"), vec![6; 40_001]).unwrap();
    let found = walk::find(&site.0, &options.exclude, options.min_size).unwrap();
    let cache = Cache::read(&site.0.join(cache::NAME));
    let (_, known) = hash(&site.0, &found, &cache, None).unwrap();
    assert_eq!((found.len(), known), (3, 1));
    run(&options).unwrap();
    let after = site.manifest();
    assert_eq!(before["files"][0][2], after["files"][0][2], "an unchanged file keeps its root");
    assert_ne!(before["files"][1][2], after["files"][1][2]);
    let fresh = PublishOptions { rehash: true, ..options };
    run(&fresh).unwrap();
    assert_eq!(after["content"], site.manifest()["content"], "from the cache or not, it is the same");
}

#[test]
fn manifest_and_policy_are_signed_each_for_its_purpose() {
    let site = Site::new("signed");
    let key = SigningKey::from_bytes(&[7; 32]);
    let file = site.0.with_extension("key");
    fs::write(&file, format!("private {}\n", swarmlet_core::Root(key.to_bytes()))).unwrap();
    let options = PublishOptions { sign: Some(file), ..site.options() };
    run(&options).unwrap();
    run(&PublishOptions { policy: Some("off".to_owned()), ..options.clone() }).unwrap();
    let verify = |context: &str, name: &str| {
        let hex = site.read(&format!("{name}.sig"));
        let bytes: Vec<u8> = hex
            .trim()
            .as_bytes()
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let signature = Signature::from_slice(&bytes).unwrap();
        key.verifying_key().verify(format!("{context}\n{}", site.read(name)).as_bytes(), &signature).is_ok()
    };
    assert!(verify("swarmlet site manifest", "swarmlet.json"));
    assert!(verify("swarmlet site policy", "swarmlet-policy.json"));
    assert!(!verify("swarmlet site policy", "swarmlet.json"));
    run(&options).unwrap();
    assert!(site.read("swarmlet-policy.json").contains("\"off\""), "publishing does not switch it on again");
    assert!(verify("swarmlet site policy", "swarmlet-policy.json"));
    // Without the key: pages would believe neither, and the owner would think that it is done.
    for policy in [None, Some("off".to_owned())] {
        let unsigned = PublishOptions { sign: None, policy, ..options.clone() };
        assert!(run(&unsigned).unwrap_err().to_string().contains("--sign"));
    }
    assert!(verify("swarmlet site manifest", "swarmlet.json"));
    assert!(verify("swarmlet site policy", "swarmlet-policy.json"));
    fs::remove_file(site.0.join("swarmlet.json.sig")).unwrap();
    run(&PublishOptions { sign: None, ..options.clone() }).unwrap();
    assert!(!site.0.join("swarmlet.json.sig").exists() && !site.0.join("swarmlet-policy.json.sig").exists());
    let inside = site.0.join("img/site.key");
    fs::rename(site.0.with_extension("key"), &inside).unwrap();
    assert!(run(&PublishOptions { sign: Some(inside), ..options }).is_err(), "a key that is served");
}

#[test]
fn what_cannot_be_published_is_refused() {
    let site = Site::new("refused");
    for base in ["shop.example", "ftp://x/", "https://", "https://x/?a", "https://x/\"onload=", "https:///x"]
    {
        assert!(
            run(&PublishOptions { base_url: Some(base.to_owned()), ..site.options() }).is_err(),
            "{base}"
        );
    }
    assert!(run(&PublishOptions { exclude: vec!["*".to_owned()], ..site.options() }).is_err());
    assert!(run(&PublishOptions { folder: site.0.join("none"), ..site.options() }).is_err());
}
