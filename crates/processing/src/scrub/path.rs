//! Where in an event we are: a list that grows on the stack, so that only what is remarked on costs memory.

/// One step, and the way to it.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    pub fn key(&'p self, key: &'p str) -> Path<'p> {
        Path::Key(self, key)
    }

    pub fn index(&'p self, index: usize) -> Path<'p> {
        Path::Index(self, index)
    }

    /// Returns the steps from the root on.
    pub fn steps(&self) -> Vec<String> {
        let mut steps = Vec::new();
        let mut here = *self;
        loop {
            here = match here {
                Path::Root => break,
                Path::Key(parent, key) => {
                    steps.push(key.to_owned());
                    *parent
                }
                Path::Index(parent, index) => {
                    steps.push(index.to_string());
                    *parent
                }
            };
        }
        steps.reverse();
        steps
    }
}
