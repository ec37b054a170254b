package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.slim.KnownNumbers;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** What an operator that takes each channel by itself makes of channels of one number each. */
final class ChannelwiseRun {
    private final OnnxModel model;
    private final Analysis analysis;
    private final OnnxNode node;

    ChannelwiseRun(OnnxModel model, Analysis analysis, OnnxNode node) {
        this.model = model;
        this.analysis = analysis;
        this.node = node;
    }

    @Nullable KnownNumbers of(Map<String, KnownNumbers> known) {
        long[] extents = analysis.extents(node.output());
        int dimension = extents == null ? -1 : dimension(known, extents.length);
        if (extents == null || dimension < 0) {
            return null;
        }
        int channels = Math.toIntExact(extents[dimension]);
        boolean[] isKnown = new boolean[channels];
        boolean[] isZero = new boolean[channels];
        Arrays.fill(isKnown, true);
        Map<String, KnownNumbers> given = new LinkedHashMap<>();
        for (String operand : node.inputs()) {
            int own = dimension - extents.length + rank(operand);
            KnownNumbers some = known.get(operand);
            if (some != null && some.dimension() == own && some.numbers().length == channels) {
                given.put(operand, some);
                for (int i = 0; i < channels; i++) {
                    isKnown[i] &= some.isKnown(i);
                    isZero[i] |= some.isZero(i);
                }
            } else if (!operand.isEmpty() && !isByChannel(operand, own)) {
                Arrays.fill(isKnown, false);
            }
        }
        boolean any = IntStream.range(0, channels).anyMatch(i -> isKnown[i]);
        double[] results = any ? run(given) : new double[channels];
        if (results == null || results.length != channels) {
            return null;
        }
        for (int i = 0; i < channels; i++) {
            // Whatever zero is multiplied by, numbers being finite.
            results[i] = node.is("Mul") && isZero[i] ? 0 : isKnown[i] ? results[i] : Double.NaN;
        }
        if (node.is("Where")) {
            keepWhatIsSame(results, dimension, extents.length, known);
        }
        return new KnownNumbers(dimension, results);
    }

    /** Whatever is chosen of two that are the same number. */
    private void keepWhatIsSame(
            double[] results, int dimension, int rank, Map<String, KnownNumbers> known) {
        double[][] both = new double[2][];
        for (int i = 0; i < 2; i++) {
            String operand = node.input(i + 1);
            int own = dimension - rank + rank(operand);
            KnownNumbers some = known.get(operand);
            ConstantTensor constant = model.graph().constant(operand);
            if (some != null && some.dimension() == own) {
                both[i] = some.numbers();
            } else if (constant != null && isByChannel(operand, own)) {
                both[i] = RealNumbers.of(constant);
            } else {
                return;
            }
        }
        for (int i = 0; i < results.length; i++) {
            double one = both[0][both[0].length == 1 ? 0 : i];
            double other = both[1][both[1].length == 1 ? 0 : i];
            results[i] = one == other ? one : results[i];
        }
    }

    private int rank(String operand) {
        long[] extents = operand.isEmpty() ? null : analysis.extents(operand);
        return extents == null ? 0 : extents.length;
    }

    /** The result's dimension that known channels lie along. */
    private int dimension(Map<String, KnownNumbers> known, int rank) {
        for (String operand : node.inputs()) {
            KnownNumbers some = known.get(operand);
            if (some != null) {
                return some.dimension() + rank - rank(operand);
            }
        }
        return -1;
    }

    /** Whether an operand is constant, and has one number for each channel or for all. */
    private boolean isByChannel(String operand, int dimension) {
        ConstantTensor constant = model.graph().constant(operand);
        if (constant == null) {
            return false;
        }
        List<Long> shape = constant.shape();
        boolean vectors = ConstantChannels.isNormalization(node) && shape.size() == 1;
        return vectors
                || IntStream.range(0, shape.size())
                        .allMatch(d -> d == dimension || shape.get(d) == 1);
    }

    private double @Nullable [] run(Map<String, KnownNumbers> given) {
        var types = new HashMap<String, ElementType>();
        var constants = new HashMap<String, ConstantTensor>();
        for (String operand : node.inputs()) {
            ConstantTensor constant = model.graph().constant(operand);
            if (given.containsKey(operand)) {
                types.put(operand, analysis.elements(operand));
            } else if (constant != null) {
                constants.put(operand, constant);
            }
        }
        OnnxModel alone = model.fragment(List.of(node), constants, types, List.of(node.output()));
        try (var scope = new PointerScope();
                var session = OnnxSession.open(alone, s -> s.threads(1).optimized(false))) {
            var inputs = new HashMap<String, Tensor>();
            given.forEach((name, channels) -> inputs.put(name, tensor(name, channels)));
            Tensor result = session.run(inputs).values().iterator().next();
            return Tensors.doubles(result);
        } catch (EspalierException e) {
            // What the runtime can't compute so is not known.
            return null;
        }
    }

    /** One number for each channel, and 0 where it is not known. */
    private Tensor tensor(String name, KnownNumbers channels) {
        long[] shape = new long[rank(name)];
        Arrays.fill(shape, 1);
        shape[channels.dimension()] = channels.numbers().length;
        double[] numbers = channels.numbers().clone();
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = channels.isKnown(i) ? numbers[i] : 0;
        }
        return KnownNumbers.tensor(numbers, analysis.elements(name).libtorch(), shape);
    }
}
