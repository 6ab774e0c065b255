//! The host's own pieces in a real worker: storage, time.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used)]

use js_sys::Reflect;
use swarmlet_core::content::hash_leaves;
use swarmlet_core::{Failure, Root, Work};
use swarmlet_wasm::{clock, hash, store::Store};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{FileSystemDirectoryHandle, FileSystemGetDirectoryOptions, StorageManager, WorkerNavigator};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

async fn folder(name: &str) -> FileSystemDirectoryHandle {
    let navigator = Reflect::get(&js_sys::global(), &JsValue::from_str("navigator")).unwrap();
    let storage: StorageManager = navigator.unchecked_into::<WorkerNavigator>().storage();
    let top: FileSystemDirectoryHandle =
        JsFuture::from(storage.get_directory()).await.unwrap().unchecked_into();
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    JsFuture::from(top.get_directory_handle_with_options(name, &options)).await.unwrap().unchecked_into()
}

fn bytes(length: usize, salt: u8) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8 ^ salt).collect()
}

fn put(root: Root, total: u64, start: u64, bytes: Vec<u8>) -> Work {
    Work::Store { root, total, start, bytes }
}

fn load(root: Root, start: u64, length: u32) -> Work {
    Work::Load { root, start, length }
}

/// What every kind of store must do.
async fn round_trip(store: &Store) {
    let (one, two) = (Root([1; 32]), Root([2; 32]));
    let total = 600 * 1024;
    assert_eq!(store.run(load(one, 0, 1)).await, Ok(None), "nothing is there at first");
    let (first, last) = (bytes(300 * 1024, 0), bytes(100 * 1024, 7));
    store.run(put(one, total, 0, first.clone())).await.unwrap();
    store.run(put(one, total, 500 * 1024, last.clone())).await.unwrap();
    store.run(put(two, 3, 0, vec![9, 8, 7])).await.unwrap();
    assert_eq!(store.run(load(one, 0, 300 * 1024)).await, Ok(Some(first.clone())));
    assert_eq!(
        store.run(load(one, 255 * 1024, 2048)).await,
        Ok(Some(first[255 * 1024..257 * 1024].to_vec()))
    );
    assert_eq!(store.run(load(one, 500 * 1024, 100 * 1024)).await, Ok(Some(last)));
    assert_eq!(store.run(load(one, total - 1, 2)).await, Ok(None), "past the end");
    assert_eq!(store.run(load(two, 0, 3)).await, Ok(Some(vec![9, 8, 7])));
    store.run(Work::Discard { root: one }).await.unwrap();
    assert_eq!(store.run(load(one, 0, 1)).await, Ok(None), "discarded");
    store.run(Work::Discard { root: one }).await.unwrap();
    assert_eq!(store.run(load(two, 1, 1)).await, Ok(Some(vec![8])));

    let key = || "info-00".to_string();
    assert_eq!(store.run(Work::Get { key: key() }).await, Ok(None));
    store.run(Work::Put { key: key(), value: vec![1; 1000] }).await.unwrap();
    store.run(Work::Put { key: key(), value: vec![2; 10] }).await.unwrap();
    assert_eq!(store.run(Work::Get { key: key() }).await, Ok(Some(vec![2; 10])), "a shorter record replaces");
    store.run(Work::Forget { key: key() }).await.unwrap();
    store.run(Work::Forget { key: key() }).await.unwrap();
    assert_eq!(store.run(Work::Get { key: key() }).await, Ok(None));
    assert_eq!(store.run(Work::OpenSignaller).await, Err(Failure::Unsupported), "no storage job");
}

#[wasm_bindgen_test]
async fn memory_keeps_what_it_is_given() {
    let store = Store::new(None);
    round_trip(&store).await;
    let beyond = store.run(put(Root([3; 32]), 10, 8, vec![0; 4])).await;
    assert_eq!(beyond, Err(Failure::Host), "past the end of the file");
}

#[wasm_bindgen_test]
async fn private_files_keep_what_they_are_given() {
    round_trip(&Store::new(Some(folder("round-trip").await))).await;
}

#[wasm_bindgen_test]
async fn private_files_outlive_the_store() {
    let directory = folder("outlive").await;
    let root = Root([4; 32]);
    let first = Store::new(Some(directory.clone()));
    first.run(put(root, 5, 0, vec![1, 2, 3, 4, 5])).await.unwrap();
    drop(first);
    let second = Store::new(Some(directory));
    assert_eq!(second.run(load(root, 1, 3)).await, Ok(Some(vec![2, 3, 4])));
}

#[wasm_bindgen_test]
async fn more_files_than_handles_are_kept() {
    let store = Store::new(Some(folder("handles").await));
    for n in 0..60 {
        store.run(put(Root([n; 32]), 100, 0, bytes(100, n))).await.unwrap();
    }
    for n in 0..60 {
        assert_eq!(store.run(load(Root([n; 32]), 0, 100)).await, Ok(Some(bytes(100, n))));
    }
}

#[wasm_bindgen_test]
fn the_clock_does_not_run_backwards() {
    let first = clock::now();
    assert!(first.micros() > 0);
    assert!(clock::now() >= first);
}

#[wasm_bindgen_test]
fn leaves_that_are_hashed_side_by_side_have_the_hashes_that_they_have_alone() {
    let mut bytes = bytes(9 * 16 * 1024 + 5, 9);
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte ^= (at >> 14) as u8;
    }
    for leaves in [0, 1, 4, 5, 8, 9] {
        for more in [0, 5] {
            let run = &bytes[..leaves * 16 * 1024 + more];
            assert_eq!(hash::hash_leaves(run), hash_leaves(run), "{leaves} leaves and {more} bytes");
        }
    }
}
