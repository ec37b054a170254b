package io.espalier.nn;

import io.espalier.tensor.Internal;

/**
 * A hook that looks at tensors, or rounds their numbers: each element stays at its place, and a
 * model computes about the same without it.
 */
@Internal
public interface WatchingHook extends Hook {}
