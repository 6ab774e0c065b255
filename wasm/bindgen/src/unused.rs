//! What is in the module and never runs, for reasons that no compiler can know.

use anyhow::{Result, bail};
use std::collections::HashSet;
use walrus::ir::{Call, Visitor, dfs_in_order};
use walrus::{ElementItems, Function, FunctionBuilder, FunctionId, FunctionKind, Module};

/// Takes it out, and what only it needs.
pub(crate) fn remove(module: &mut Module) -> Result<()> {
    forget_shims(module);
    never_count(module)?;
    // Lives as long as its worker; see `LASTING`.
    let _ = module.exports.remove("__wbg_engine_free");
    walrus::passes::gc::run(module);
    // Was for the linker.
    module.customs.remove_raw("target_features");
    Ok(())
}

/// Takes the shims of closures out of the function table. The generator read their addresses in descriptions of all that
/// js-sys could pass, and now the glue calls those that it needs by export: nothing calls one by address any more.
fn forget_shims(module: &mut Module) {
    let is_shim = |function: &Function| {
        let name = name(function);
        name.contains("wasm_bindgen") && name.contains("closures") && name.contains("invoke")
    };
    let shims: HashSet<_> =
        module.funcs.iter().filter(|function| is_shim(function)).map(|f| f.id()).collect();
    let mut trap = FunctionBuilder::new(&mut module.types, &[], &[]);
    trap.func_body().unreachable();
    let trap = trap.finish(Vec::new(), &mut module.funcs);
    for element in module.elements.iter_mut() {
        if let ElementItems::Functions(functions) = &mut element.items {
            functions.iter_mut().filter(|function| shims.contains(*function)).for_each(|shim| *shim = trap);
        }
    }
}

/// A text that is shown with a width has its characters counted, many at a time in 900 bytes of code. Nothing that the
/// module shows has a width, and if it had, it would stop there. Counting for other ends is not touched: it would be found
/// by who calls.
fn never_count(module: &mut Module) -> Result<()> {
    let Some(count) = module.funcs.iter().find(|f| name(f).contains("str::count::do_count_chars")) else {
        return Ok(());
    };
    let (count, kind) = (count.id(), count.ty());
    for function in module.funcs.iter() {
        let FunctionKind::Local(code) = &function.kind else { continue };
        let mut calls = Calls { of: count, found: false };
        dfs_in_order(&mut calls, code, code.entry_block());
        if calls.found && !name(function).contains("fmt::Formatter") {
            bail!("{} counts characters", name(function));
        }
    }
    let (params, results) = module.types.params_results(kind);
    let (params, results) = (params.to_vec(), results.to_vec());
    let args = params.iter().map(|kind| module.locals.add(*kind)).collect();
    let mut trap = FunctionBuilder::new(&mut module.types, &params, &results);
    trap.func_body().unreachable();
    module.funcs.get_mut(count).kind = FunctionKind::Local(trap.local_func(args));
    Ok(())
}

/// Whether somebody calls a function.
struct Calls {
    of: FunctionId,
    found: bool,
}

impl Visitor<'_> for Calls {
    fn visit_call(&mut self, call: &Call) {
        self.found |= call.func == self.of;
    }
}

fn name(function: &Function) -> &str {
    function.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` counts to seven, and `caller` calls it.
    fn module(caller: &str) -> Module {
        let mut module = Module::default();
        let mut count = FunctionBuilder::new(&mut module.types, &[], &[walrus::ValType::I32]);
        count.name("core[0123]::str::count::do_count_chars".into()).func_body().i32_const(7);
        let count = count.finish(Vec::new(), &mut module.funcs);
        let mut call = FunctionBuilder::new(&mut module.types, &[], &[walrus::ValType::I32]);
        call.name(caller.into()).func_body().call(count);
        let call = call.finish(Vec::new(), &mut module.funcs);
        module.exports.add("call", call);
        module
    }

    #[test]
    fn characters_are_not_counted_for_a_width_and_that_is_all_they_are_counted_for() {
        let mut widths = module("<core[0123]::fmt::Formatter>::pad");
        remove(&mut widths).expect("a width may be counted");
        let count = widths.funcs.by_name("core[0123]::str::count::do_count_chars").expect("it is called");
        let FunctionKind::Local(code) = &widths.funcs.get(count).kind else { panic!("it has code") };
        assert!(code.block(code.entry_block()).instrs.iter().all(|(instr, _)| instr.is_unreachable()));
        assert!(remove(&mut module("swarmlet_core::names::check")).is_err());
    }
}
