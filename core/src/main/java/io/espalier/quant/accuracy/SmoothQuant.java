package io.espalier.quant.accuracy;

import io.espalier.nn.Hook;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.quant.Calibration;
import io.espalier.quant.fusion.Dataflow;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;
import io.espalier.train.EvalMode;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Moves a part of the range of outlying activation channels into the weights, which have room for
 * it: channel {@code j} of a layer's input is divided by {@code s = max|X_j|^α / max|W_j|^(1−α)},
 * and the weights that it meets are multiplied by it. The division goes into the layer before; in
 * float the network computes the same. Transformers are the usual case: a few channels of a
 * LayerNorm's output are a hundred times larger than the others, and one scale can't serve all.
 *
 * <p>Source: Xiao et al., <a href="https://arxiv.org/abs/2211.10438">SmoothQuant</a>, 2022.
 */
public final class SmoothQuant {
    /** The paper's choice, which shares the difficulty between activations and weights. */
    private static final double ALPHA = 0.5;

    /** The smallest factor, as in the authors' own program. */
    private static final double LEAST = 1e-5;

    private SmoothQuant() {}

    /**
     * Layers that read the same tensor, and what stands before them.
     *
     * @param before the path of what gives that tensor, through nothing but ReLU, dropout, pooling
     *     and flattening of one pixel: a LayerNorm, BatchNorm or GroupNorm with weights, a Linear
     *     layer or a convolution; empty if there is none
     * @param layers the paths of Linear layers and convolutions
     */
    public record Group(Optional<String> before, List<String> layers) {
        /**
         * Copies the list.
         *
         * @throws EspalierException if it is empty
         */
        public Group {
            layers = List.copyOf(layers);
            if (layers.isEmpty()) {
                throw new EspalierException("A group to smooth needs one layer or more.");
            }
        }

        /** Layers whose input {@code before} gives, which takes the division in. */
        public static Group after(String before, String... layers) {
            return new Group(
                    Optional.of(Needed.of(before, "the layer before a group")),
                    Needed.all(layers, "the layers of a group"));
        }

        /**
         * Layers before which nothing can take the division in. Each is replaced by a Sequential of
         * a {@link ChannelScale} and the layer, which costs a multiplication in float.
         */
        public static Group alone(String... layers) {
            return new Group(Optional.empty(), Needed.all(layers, "the layers of a group"));
        }
    }

    /** {@link #apply(Module, List, List, double)} with α = 0.5. */
    public static void apply(Module model, List<Group> groups, List<Tensor> calibration) {
        apply(model, groups, calibration, ALPHA);
    }

    /**
     * Smooths in place. Of the calibration data only each channel's largest magnitude is kept.
     *
     * @param model a float model, not prepared yet
     * @param groups what is smoothed
     * @param calibration inputs of the model
     * @param alpha how much is moved into the weights, 0…1: higher where activations are harder to
     *     quantize
     * @throws EspalierException if there is no data or group, {@code alpha} is out of range, a path
     *     is no such layer or named twice, channels don't fit, the layers of a group read different
     *     tensors, or the model would give something else than before, because the tensor that is
     *     divided goes to other layers too; the model is as it was then
     */
    public static void apply(
            Module model, List<Group> groups, List<Tensor> calibration, double alpha) {
        if (!(alpha >= 0 && alpha <= 1)) {
            throw new EspalierException("SmoothQuant needs an alpha of 0…1; got " + alpha + ".");
        }
        Needed.of(model, "the model to smooth");
        Needed.all(calibration, "the calibration data");
        if (calibration.isEmpty() || Needed.all(groups, "the groups").isEmpty()) {
            throw new EspalierException(
                    "SmoothQuant needs "
                            + (groups.isEmpty() ? "one group or more." : "calibration data."));
        }
        WeightedLayer.requireNotPrepared(model, "SmoothQuant");
        requireFit(model, groups);
        try (var mode = new EvalMode(model);
                var noGrad = new NoGradGuard();
                var scope = new PointerScope()) {
            Map<String, Tensor> ranges = ranges(model, groups, calibration);
            List<Tensor> factors = new ArrayList<>();
            for (Group group : groups) {
                factors.add(factors(model, group, ranges, alpha));
            }
            requireSameOutput(model, groups, calibration.getFirst());
            smooth(model, groups, factors);
        }
    }

    private static void requireFit(Module model, List<Group> groups) {
        Set<String> named = new HashSet<>();
        for (Group group : groups) {
            for (String path : group.layers()) {
                long in = WeightedLayer.at(model, path, "smooth").inChannels();
                if (!named.add(path)) {
                    throw new EspalierException(
                            "'" + path + "' is named twice; each layer is smoothed once.");
                }
                long given =
                        group.before()
                                .map(before -> Absorber.at(model, before).channels())
                                .orElse(in);
                if (given != in) {
                    throw new EspalierException(
                            "Can't smooth '"
                                    + path
                                    + "', which takes "
                                    + in
                                    + " channels: '"
                                    + group.before().orElse("")
                                    + "' gives "
                                    + given
                                    + ".");
                }
            }
        }
    }

    /** The largest magnitude of each channel of each layer's input. */
    private static Map<String, Tensor> ranges(
            Module model, List<Group> groups, List<Tensor> calibration) {
        Map<String, Tensor> ranges = new LinkedHashMap<>();
        List<Hook.Registration> hooks = new ArrayList<>();
        for (Group group : groups) {
            for (String path : group.layers()) {
                WeightedLayer layer = WeightedLayer.at(model, path, "smooth");
                Tensor range = Tensors.zeros(layer.inChannels());
                ranges.put(path, range);
                hooks.add(
                        layer.layer()
                                .onInput((module, tensors) -> {
                                    widen(range, layer.inputByChannel(tensors.getFirst()));
                                    return tensors;
                                }));
            }
        }
        try {
            Calibration.run(model, calibration);
        } finally {
            hooks.forEach(Hook.Registration::close);
        }
        return ranges;
    }

    private static void widen(Tensor range, Tensor x) {
        try (var scope = new PointerScope()) {
            range.copy_(range.maximum(torch.amax(x.abs(), new long[] {0}, false)));
        }
    }

    private static Tensor factors(
            Module model, Group group, Map<String, Tensor> ranges, double alpha) {
        String first = group.layers().getFirst();
        Tensor inputs = ranges.getOrDefault(first, new Tensor());
        Tensor weights = WeightedLayer.at(model, first, "smooth").inputRanges();
        for (String path : group.layers()) {
            if (!Tensors.equal(inputs, ranges.getOrDefault(path, inputs))) {
                throw new EspalierException(
                        "Can't smooth '"
                                + first
                                + "' and '"
                                + path
                                + "' together: they read different tensors; put them in groups of"
                                + " their own.");
            }
            weights = weights.maximum(WeightedLayer.at(model, path, "smooth").inputRanges());
        }
        if (!inputs.isfinite().all().item_bool() || inputs.sum().item_double() == 0) {
            throw new EspalierException(
                    "The calibration data does not reach '"
                            + first
                            + "', or gives it nothing but zeros, or values that are NaN or"
                            + " infinite; give other data, or leave the layer out.");
        }
        Tensor found =
                inputs.pow(new Scalar(alpha))
                        .div(weights.pow(new Scalar(1 - alpha)))
                        .clamp_min(new Scalar(LEAST));
        // A channel that is zero on one side has nothing to move.
        Tensor usable = inputs.mul(weights).gt(new Scalar(0));
        return torch.where(usable, found, torch.ones_like(found));
    }

    /** That what is divided goes to the layers of its group alone. */
    private static void requireSameOutput(Module model, List<Group> groups, Tensor batch) {
        List<Tensor> example = List.of(batch);
        List<ChannelMove> moves = moves(model, groups);
        Optional<Dataflow> flow = Dataflow.of(model, example);
        boolean whole = flow.isEmpty() || moves.stream().allMatch(move -> move.isWhole(flow.get()));
        if (!whole || !ChannelMove.keepOutput(model, example, moves)) {
            throw new EspalierException(
                    "Smoothed, the model would give something else: what is divided before "
                            + groups.stream().flatMap(g -> g.layers().stream()).toList()
                            + " must go to the layers of its group alone; list all that read"
                            + " it, or use Group.alone.");
        }
    }

    private static List<ChannelMove> moves(Module model, List<Group> groups) {
        List<ChannelMove> moves = new ArrayList<>();
        for (Group group : groups) {
            List<WeightedLayer> layers =
                    group.layers().stream()
                            .map(path -> WeightedLayer.at(model, path, "smooth"))
                            .toList();
            group.before()
                    .map(before -> new ChannelMove(Absorber.at(model, before), layers))
                    .ifPresent(moves::add);
        }
        return moves;
    }

    private static void smooth(Module model, List<Group> groups, List<Tensor> factors) {
        for (int i = 0; i < groups.size(); i++) {
            Group group = groups.get(i);
            Tensor factor = factors.get(i);
            Tensor inverse = factor.reciprocal();
            for (String path : group.layers()) {
                WeightedLayer.at(model, path, "smooth").scaleInput(factor);
            }
            group.before().ifPresent(before -> Absorber.at(model, before).multiply(inverse));
            if (group.before().isEmpty()) {
                group.layers().forEach(path -> putBefore(model, path, inverse));
            }
        }
    }

    private static void putBefore(Module model, String path, Tensor inverse) {
        Module layer = model.module(path);
        WeightedLayer weighted = WeightedLayer.at(model, path, "smooth");
        long[] shape = new long[weighted.spatialDimensions() + 1];
        Arrays.fill(shape, 1);
        shape[0] = inverse.numel();
        var pair = new Sequential(new ChannelScale(inverse.reshape(shape).clone()), layer.alias());
        pair.training(layer.isTraining());
        pair.takeAttachments(layer);
        model.replace(path, pair);
    }
}
