package io.espalier.quant.accuracy;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.Set;

/**
 * What can take a multiplication of each channel of its output into its own parameters: a
 * normalization with a weight, a Linear layer, or a convolution.
 *
 * @param path where it stands
 * @param module what stands there
 */
record Absorber(String path, Module module) {
    private static final Set<Class<? extends Module>> NORMS =
            Set.of(
                    LayerNorm.class,
                    GroupNorm.class,
                    BatchNorm1d.class,
                    BatchNorm2d.class,
                    BatchNorm3d.class);

    /**
     * The absorber at a path of a model.
     *
     * @throws EspalierException if there stands something else
     */
    static Absorber at(Module model, String path) {
        var absorber = new Absorber(path, model.module(path));
        boolean able =
                absorber.isNorm()
                        ? absorber.module.hasParameter("weight")
                        : WeightedLayer.of(path, absorber.module).isPresent();
        if (!able) {
            throw new EspalierException(
                    "'"
                            + path
                            + "', a "
                            + absorber.module.getClass().getSimpleName()
                            + (absorber.isNorm() ? " without weights" : "")
                            + ", can't take the division in; name the layer before it if there is"
                            + " nothing but ReLU, dropout or pooling between, or use Group.alone.");
        }
        return absorber;
    }

    private boolean isNorm() {
        return NORMS.contains(module.getClass());
    }

    /** The number of channels of its output. */
    long channels() {
        return isNorm()
                ? module.value("weight").numel()
                : WeightedLayer.of(path, module).orElseThrow().outChannels();
    }

    /** Its output with each channel times a factor. */
    Tensor scaled(Tensor output, Tensor factors) {
        int last = Math.toIntExact(output.dim()) - 1;
        int axis =
                switch (module) {
                    case LayerNorm norm -> last;
                    case GroupNorm norm -> 1;
                    case BatchNorm norm -> 1;
                    default ->
                            last - WeightedLayer.of(path, module).orElseThrow().spatialDimensions();
                };
        return ChannelScale.along(output, axis, factors);
    }

    /** Takes the factors in. */
    void multiply(Tensor factors) {
        if (isNorm()) {
            module.ownParameters().values().forEach(parameter -> parameter.mul_(factors));
        } else {
            WeightedLayer.of(path, module).orElseThrow().scaleOutput(factors);
        }
    }
}
