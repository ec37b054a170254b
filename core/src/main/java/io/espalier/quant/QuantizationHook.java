package io.espalier.quant;

import io.espalier.nn.Hook;

/** A hook that a step of quantization put on a module, none of the user's. */
interface QuantizationHook extends Hook {}
