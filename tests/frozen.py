"""What was imported before this is never garbage: accelerate collects garbage at every training, and looks at it all."""

import gc

gc.collect()
gc.freeze()
