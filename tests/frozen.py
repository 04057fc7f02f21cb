"""What was imported before is never garbage: accelerate collects it at every training, and looks at all there is."""

import gc

gc.collect()
gc.freeze()
