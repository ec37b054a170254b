package io.espalier.quant;

import io.espalier.nn.Hook;
import io.espalier.tensor.Internal;

/** A hook that a step of quantization put on a module, none of the user's. */
@Internal
public interface QuantizationHook extends Hook {}
