package io.espalier.quant.accuracy;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.quant.fusion.FusedReLU;
import io.espalier.quant.layer.LayerKind.Channels;
import io.espalier.quant.layer.LayerKinds;
import io.espalier.quant.observer.Observer;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.Arrays;
import java.util.Optional;

/**
 * A Linear layer or convolution, alone or fused with its ReLU, as the methods see it that change
 * weights and leave what the network computes: something with input channels and output channels,
 * each of which can be scaled.
 *
 * @param path where it stands
 * @param layer the layer itself, without the ReLU; its weight is plain or masked
 * @param channels how many it takes and gives
 * @param hasReLU whether a ReLU is fused with it
 */
record WeightedLayer(String path, Module layer, Channels channels, boolean hasReLU) {
    /** The layer that a module is, if it is one whose weight can be changed. */
    static Optional<WeightedLayer> of(String path, Module module) {
        Module layer = module instanceof FusedReLU fused ? fused.layer() : module;
        boolean changeable =
                layer.parametrizedNames().stream()
                        .flatMap(name -> layer.parametrizations(name).stream())
                        .allMatch(Mask.class::isInstance);
        return LayerKinds.of(layer)
                .channels(layer)
                .filter(channels -> changeable)
                .map(channels ->
                        new WeightedLayer(path, layer, channels, module instanceof FusedReLU));
    }

    /**
     * The layer at a path of a model.
     *
     * @param verb what is to be done with it, for the error
     * @throws EspalierException if there is none
     */
    static WeightedLayer at(Module model, String path, String verb) {
        Module module = model.module(path);
        return of(path, module)
                .orElseThrow(() ->
                        new EspalierException(
                                "Can't "
                                        + verb
                                        + " '"
                                        + path
                                        + "', a "
                                        + module.getClass().getSimpleName()
                                        + "; it takes Linear layers and convolutions (not"
                                        + " transposed) whose weights are plain or pruned."));
    }

    /** The size of the input's channel dimension. */
    long inChannels() {
        return channels.in();
    }

    /** The size of the output's channel dimension. */
    long outChannels() {
        return channels.out();
    }

    /** The number of groups that the channels fall into; 1 for a Linear layer. */
    long groups() {
        return channels.groups();
    }

    /** The weight [out, in/groups, …] as the layer computes with it. */
    Tensor weight() {
        return layer.value("weight").detach();
    }

    /**
     * Refuses a model whose observers may have seen ranges that are about to change.
     *
     * @param what what comes before prepare, for the error
     */
    static void requireNotPrepared(Module model, String what) {
        if (model.namedModules().values().stream().anyMatch(Observer.class::isInstance)) {
            throw new EspalierException(
                    what
                            + " changes the ranges that observers look for and comes before"
                            + " prepare; give it the float model.");
        }
    }

    /** How many dimensions follow that of the channels: those of the kernel. */
    int spatialDimensions() {
        return Math.toIntExact(stored("weight").dim()) - 2;
    }

    /** Where the layer itself stands, which may be fused with its ReLU. */
    String ownPath() {
        return hasReLU ? path + ".0" : path;
    }

    /** An input of the layer with each channel times a factor. */
    Tensor scaledInput(Tensor x, Tensor factors) {
        return ChannelScale.along(x, (int) x.dim() - 1 - spatialDimensions(), factors);
    }

    /** An input of the layer as [rows, channels]. */
    Tensor inputByChannel(Tensor x) {
        return x.movedim(x.dim() - 1 - spatialDimensions(), -1).reshape(-1, inChannels());
    }

    /** The largest magnitude of the weight for each output channel. */
    Tensor outputRanges() {
        return torch.amax(weight().abs().flatten(1, -1), new long[] {1}, false);
    }

    /** The largest magnitude of the weight for each input channel. */
    Tensor inputRanges() {
        Tensor magnitudes = weight().abs();
        long out = magnitudes.size(0) / groups();
        long in = magnitudes.size(1);
        Tensor byInput =
                magnitudes
                        .reshape(groups(), out, in, -1)
                        .transpose(1, 2)
                        .reshape(groups() * in, -1);
        return torch.amax(byInput, new long[] {1}, false);
    }

    /** Multiplies what comes out, channel by channel. */
    void scaleOutput(Tensor factors) {
        stored("weight").mul_(factors.reshape(shapeWith(outChannels(), 1)));
        if (layer.hasParameter("bias")) {
            stored("bias").mul_(factors);
        }
    }

    /** Multiplies the weights of each input channel. */
    void scaleInput(Tensor factors) {
        Tensor weight = stored("weight");
        long in = weight.size(1);
        long out = weight.size(0) / groups();
        weight.mul_(
                factors.reshape(groups(), 1, in)
                        .expand(groups(), out, in)
                        .reshape(shapeWith(weight.size(0), in)));
    }

    /** Gives the layer other weights; where it is masked, the mask stays. */
    void setWeight(Tensor values) {
        stored("weight").copy_(values);
    }

    private Tensor stored(String name) {
        return layer.parameter(layer.storedName(name)).detach();
    }

    private long[] shapeWith(long first, long second) {
        long[] shape = new long[Math.toIntExact(stored("weight").dim())];
        Arrays.fill(shape, 1);
        shape[0] = first;
        shape[1] = second;
        return shape;
    }
}
