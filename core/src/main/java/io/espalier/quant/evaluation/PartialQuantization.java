package io.espalier.quant.evaluation;

import io.espalier.nn.Module;
import io.espalier.quant.Calibration;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.Site;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Set;

/** Quantizes some of a model's layers and leaves the others in float. */
final class PartialQuantization {
    private PartialQuantization() {}

    /** The paths of the layers with weights that can be quantized. */
    static List<String> layers(Module model, QConfig qconfig) {
        Module copy = model.copy();
        clear(copy);
        copy.qconfig(qconfig);
        return Site.toPrepare(copy).stream().filter(Site::hasWeight).map(Site::path).toList();
    }

    /** A copy of the model with only these layers quantized. */
    static Module only(Module model, QConfig qconfig, Set<String> paths, List<Tensor> calibration) {
        Module copy = model.copy();
        clear(copy);
        paths.forEach(path -> copy.module(path).qconfig(qconfig));
        copy.eval();
        Quantization.prepare(copy);
        Calibration.run(copy, calibration);
        Quantization.convert(copy);
        return copy;
    }

    private static void clear(Module model) {
        model.namedModules().values().stream()
                .filter(Module::hasQconfig)
                .forEach(module -> module.qconfig(null));
    }
}
