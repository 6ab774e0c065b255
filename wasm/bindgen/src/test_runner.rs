//! wasm-bindgen's test runner, built from this workspace's lockfile. Cargo calls it for `cargo test --target
//! wasm32-unknown-unknown`; it starts a headless browser through the driver that `CHROMEDRIVER` names.

fn main() -> anyhow::Result<()> {
    wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(std::env::args_os())
}
