package io.espalier.onnx.tune;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.Convolution;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.ParameterOrigin;
import io.espalier.onnx.lower.ParameterOrigin.Arrangement;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.tune.SimulatedIntegers.HeldIntegers;
import io.espalier.prune.Prune;
import io.espalier.quant.qat.FakeQuantizedParameter;
import io.espalier.quant.qat.FixedQParamsFakeQuantize;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * The parameters of a lowered model that lead back to what the file holds. The others, whose values
 * the file computes or that a layer has in another arrangement, are frozen: what they were they
 * stay.
 */
final class TrainableWeights {
    private static final long[] ROWS = {1};

    private final List<Weight> weights = new ArrayList<>();
    private final List<String> frozen = new ArrayList<>();

    /** A parameter, and where in the file its numbers are. */
    private record Weight(
            Module module, String parameter, Arrangement arrangement, HeldWeight held) {}

    private TrainableWeights() {}

    /**
     * Finds them, and freezes all others.
     *
     * @param lowered what was made of the model
     * @param held where the file holds what a value is
     */
    static TrainableWeights of(LoweredModel lowered, Function<String, Optional<HeldWeight>> held) {
        var found = new TrainableWeights();
        Map<String, ParameterOrigin> origins =
                ParameterOrigin.of(lowered, name -> held.apply(name).isPresent());
        origins.forEach((path, origin) -> {
            HeldWeight place = held.apply(origin.constant()).orElseThrow();
            found.weights.add(
                    new Weight(origin.module(), origin.parameter(), origin.arrangement(), place));
        });
        lowered.module()
                .namedModules()
                .forEach((path, module) -> {
                    for (String name : List.copyOf(module.ownParameters().keySet())) {
                        String full = path.isEmpty() ? name : path + "." + name;
                        if (!origins.containsKey(full)) {
                            module.parameter(name).set_requires_grad(false);
                            found.frozen.add(full);
                        }
                    }
                });
        found.freezeShared();
        return found;
    }

    /** What two parameters would write to one place is left as it was. */
    private void freezeShared() {
        Map<String, Integer> uses = new LinkedHashMap<>();
        weights.forEach(weight -> uses.merge(weight.held().name(), 1, Integer::sum));
        weights.removeIf(weight -> {
            boolean shared = uses.getOrDefault(weight.held().name(), 1) > 1;
            if (shared) {
                freeze(weight);
            }
            return shared;
        });
    }

    /** Keeps at zero what is zero now in weights of two dimensions or more. */
    void keepZeros() {
        for (Weight weight : weights) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                Tensor now = weight.module().parameter(weight.parameter());
                Tensor mask = now.ne(new Scalar(0));
                if (now.dim() >= 2 && mask.all().item_long() == 0) {
                    Prune.customFromMask(weight.module(), weight.parameter(), mask);
                }
            }
        }
    }

    /** Freezes those whose place in the file has no such name. */
    void keepTo(Predicate<String> names) {
        weights.removeIf(weight -> {
            boolean leaves = !names.test(weight.held().name());
            if (leaves) {
                freeze(weight);
            }
            return leaves;
        });
    }

    private void freeze(Weight weight) {
        weight.module().parameter(weight.parameter()).set_requires_grad(false);
        frozen.add(weight.held().name());
    }

    /**
     * Lets the floats of integers of a byte be what these stand for, whatever training does, and
     * has all numbers in units of such integers, so that one learning rate is right for all.
     */
    void round(Map<String, HeldIntegers> integers) {
        weights.removeIf(weight -> {
            HeldIntegers held = integers.get(weight.held().name());
            if (held == null || held.codes().type() != ElementType.INT8) {
                inSteps(weight, held);
                return false;
            }
            int axis = held.axis() < 0 ? -1 : weight.arrangement().axis(held.axis());
            if (held.axis() >= 0 && axis < 0) {
                freeze(weight);
                return true;
            }
            inSteps(weight, held);
            var rounded = new FakeQuantizedParameter(weight.parameter());
            weight.module().add(rounded.child(), FixedQParamsFakeQuantize.of(held.range(axis)));
            weight.module().parametrize(weight.parameter(), rounded);
            return false;
        });
    }

    private static void inSteps(Weight weight, @Nullable HeldIntegers held) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor parameter = weight.module().parameter(weight.parameter());
            Tensor steps =
                    held == null
                            ? stepOf(parameter)
                            : weight.arrangement().of(held.steps().toTensor()).contiguous();
            put(weight, steps);
        }
    }

    private static void put(Weight weight, Tensor units) {
        var inSteps = new InSteps(weight.parameter());
        weight.module().addBuffer(inSteps.buffer(), units);
        weight.module().parameter(weight.parameter()).div_(units);
        weight.module().parametrize(weight.parameter(), inSteps);
    }

    /**
     * Has all numbers in units of about those that are typical of their channel, so that one
     * learning rate is right for all: channels of folded normalizations differ a thousandfold.
     */
    void inUnits() {
        for (Weight weight : weights) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                put(weight, typical(weight));
            }
        }
    }

    /**
     * Keeps one number for all channels where a normalization scales and shifts them alike: as such
     * it goes into a table of integers, and one of a number for each channel stays in floats.
     */
    void keepAlike() {
        for (Weight weight : weights) {
            if (weight.module() instanceof BatchNorm norm && isAlike(norm)) {
                norm.parametrize(weight.parameter(), new OneNumber(weight.parameter()));
            }
        }
    }

    private static boolean isAlike(BatchNorm norm) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            return Stream.of(norm.ownParameters(), norm.ownBuffers())
                    .flatMap(named -> named.values().stream())
                    .filter(all -> all.dim() == 1)
                    .allMatch(all -> all.eq(all.narrow(0, 0, 1)).all().item_long() != 0);
        }
    }

    private static Tensor typical(Weight weight) {
        Tensor squares = weight.module().parameter(weight.parameter()).square();
        boolean byChannel =
                weight.module() instanceof Linear
                        || (weight.module() instanceof Convolution conv && !conv.isTransposed());
        if (!byChannel || squares.dim() < 2) {
            return Tensors.of(InSteps.near((float) Math.sqrt(squares.mean().item_double())));
        }
        float[] means =
                Tensors.floats(
                        squares.flatten(1, -1)
                                .mean(ROWS, false, new ScalarTypeOptional())
                                .contiguous());
        for (int i = 0; i < means.length; i++) {
            means[i] = InSteps.near((float) Math.sqrt(means[i]));
        }
        long[] shape = new long[Math.toIntExact(squares.dim())];
        Arrays.fill(shape, 1);
        shape[0] = means.length;
        return Tensors.of(means, shape);
    }

    /** The step that a tensor's numbers would have in signed bytes. */
    private static Tensor stepOf(Tensor parameter) {
        double largest = parameter.abs().max().item_double();
        return Tensors.of(InSteps.near((float) largest / Byte.MAX_VALUE));
    }

    /** What stays as it was: parameters of the module, or tensors of the file. */
    List<String> frozen() {
        return frozen;
    }

    /** How many tensors train. */
    int count() {
        return weights.size();
    }

    /** The model with the parameters' numbers as they are now; the model itself stays. */
    OnnxModel writtenTo(OnnxModel model) {
        Map<String, ConstantTensor> changed = now();
        return model.rewritten(
                graph -> changed.forEach((name, by) -> HeldWeight.replace(graph, name, by)));
    }

    /** What the file has to hold for the parameters' numbers as they are now, by its names. */
    Map<String, ConstantTensor> now() {
        Map<String, ConstantTensor> changed = new LinkedHashMap<>();
        for (Weight weight : weights) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                Tensor now = weight.module().value(weight.parameter());
                changed.put(weight.held().name(), held(weight, now));
            }
        }
        return changed;
    }

    private static ConstantTensor held(Weight weight, Tensor now) {
        return weight.held().withRead(weight.arrangement().back(now).to(ScalarType.Float));
    }
}
