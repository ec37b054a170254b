package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.conv.PortableForm;
import io.espalier.onnx.quant.half.OpenedHalves;
import io.espalier.onnx.repair.Pass;
import io.espalier.onnx.repair.Repair;

import java.util.List;

/** A model cleaned up, in operators that the passes of quantization know. */
final class Preparation {
    /** The version of the standard whose operators the passes write. */
    private static final long QUANTIZES_SINCE = 11;

    private Preparation() {}

    /** The model for ONNX Runtime, whose own operators are welcome. */
    static OnnxModel of(OnnxModel model) {
        return Repair.raised(Repair.run(unfolded(model)).model(), QUANTIZES_SINCE);
    }

    /** The model for every runtime. */
    static OnnxModel portable(OnnxModel model) {
        // A GELU by itself is the runtime's own operator; spelled out, it is the standard's.
        List<Pass> passes =
                Repair.all().stream().filter(pass -> !pass.name().equals("gelu")).toList();
        return Repair.raised(Repair.run(unfolded(model), passes).model(), PortableForm.SINCE_OPSET);
    }

    /**
     * Weights that are inputs become constants, functions come apart, and weights in 16 bits become
     * floats, even if that takes room: what is in them can be smaller then.
     */
    private static OnnxModel unfolded(OnnxModel model) {
        return OpenedHalves.open(Repair.withoutFunctions(model.withWeightsTaken()));
    }
}
