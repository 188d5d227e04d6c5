//! Designs: modules with everything they instantiate.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::{
    error::{Error, Fault},
    ir::Module,
    verilog::{self, SourceFile},
};

/// Checked modules, each after the modules it instantiates.
#[derive(Debug, Clone)]
pub struct Design {
    modules: IndexMap<String, Arc<Module>>,
}

impl Design {
    /// Collects the given modules and all that they instantiate.
    ///
    /// # Errors
    /// Two different modules of one name.
    pub fn new<'a>(tops: impl IntoIterator<Item = &'a Arc<Module>>) -> Result<Self, Error> {
        let mut design = Self { modules: IndexMap::new() };
        for top in tops {
            design.add(top)?;
        }
        Ok(design)
    }

    /// Instances nest as deep as the builder's calls did, which bounds the recursion.
    fn add(&mut self, module: &Arc<Module>) -> Result<(), Error> {
        if let Some(known) = self.modules.get(module.name()) {
            if Arc::ptr_eq(known, module) || known == module {
                return Ok(());
            }
            let name = module.name().to_owned();
            return Err(Error::new(name.clone(), Fault::Clash { name }));
        }
        for instance in module.instances() {
            self.add(&instance.module)?;
        }
        self.modules.insert(module.name().to_owned(), Arc::clone(module));
        Ok(())
    }

    /// The modules, each after those it instantiates.
    pub fn modules(&self) -> impl Iterator<Item = &Arc<Module>> {
        self.modules.values()
    }

    /// A module by its name.
    ///
    /// # Errors
    /// No such module.
    pub fn module(&self, name: &str) -> Result<&Arc<Module>, Error> {
        self.modules.get(name).ok_or_else(|| {
            Error::new(
                name,
                Fault::Unknown {
                    kind: "module",
                    name: name.to_owned(),
                    known: self.modules.keys().cloned().collect(),
                },
            )
        })
    }

    /// One Verilog file per module, each after those it instantiates.
    pub fn verilog(&self) -> Vec<SourceFile> {
        self.modules().map(|module| verilog::print(module)).collect()
    }
}
