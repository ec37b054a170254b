package io.espalier.onnx.quant;

import io.espalier.onnx.compare.Evidence;
import io.espalier.onnx.compare.Padding;
import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.run.RoundingNoise;
import io.espalier.onnx.run.RunningModel;
import io.espalier.slim.RowDistance;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.random.RandomGenerator;

/**
 * What the float model gives for some data, and how far another model is from it: 1 less the cosine
 * of the two, as a mean over the rows of the result that differs most, those aside that a mask
 * hides, and those differences that are only rounding. Where all results are integers, it is the
 * share of those that are others.
 */
public final class ReferenceOutputs {
    /** In the place of a row's length where results are integers, each right or wrong. */
    private static final int LABELS = 0;

    /** A gigabyte of results would crowd out the model. */
    private static final long MOST_NUMBERS = 1L << 26;

    private final OnnxModel model;
    private final List<Map<String, Tensor>> data;
    private final List<Map<String, float[]>> results = new ArrayList<>();
    private final RoundingNoise noise;
    private final int threads;

    private ReferenceOutputs(
            OnnxModel model, List<Map<String, Tensor>> data, RoundingNoise noise, int threads) {
        this.model = model;
        this.data = data;
        this.noise = noise;
        this.threads = threads;
    }

    /**
     * Runs the float model on the data, as far as its results fit.
     *
     * @throws EspalierException if no other model can be judged by its results, which say nothing
     */
    public static ReferenceOutputs of(
            OnnxModel model, List<Map<String, Tensor>> data, int threads) {
        var evidence = new Evidence();
        ReferenceOutputs outputs = seen(model, data, threads, evidence);
        evidence.require();
        return outputs;
    }

    /**
     * The same, where results that say nothing have a {@link Witness} beside them if there is one.
     *
     * @throws EspalierException if there is none
     */
    static ReferenceOutputs witnessed(
            OnnxModel model, List<Map<String, Tensor>> data, int threads) {
        var evidence = new Evidence();
        ReferenceOutputs outputs = seen(model, data, threads, evidence);
        Optional<String> witness =
                evidence.says() || evidence.isNowhereFinite()
                        ? Optional.empty()
                        : Witness.in(model, data.getFirst(), threads);
        if (witness.isPresent()) {
            return of(Witness.shown(model, witness.get()), data, threads);
        }
        evidence.require();
        return outputs;
    }

    private static ReferenceOutputs seen(
            OnnxModel model, List<Map<String, Tensor>> data, int threads, Evidence evidence) {
        try (var session = OnnxSession.open(model, s -> s.threads(threads))) {
            ReferenceOutputs outputs = begun(model, session, data, threads, evidence);
            for (Map<String, Tensor> batch : data.subList(1, data.size())) {
                if (outputs.numbers() > MOST_NUMBERS) {
                    break;
                }
                var rows = new LinkedHashMap<String, Integer>();
                outputs.add(run(session, batch, rows), rows, evidence);
            }
            return outputs;
        }
    }

    /** The model whose results they are. */
    OnnxModel model() {
        return model;
    }

    /** With what the model gives for the first batch. */
    private static ReferenceOutputs begun(
            OnnxModel model,
            RunningModel session,
            List<Map<String, Tensor>> data,
            int threads,
            Evidence evidence) {
        try (var scope = new PointerScope()) {
            Map<String, Tensor> batch = data.getFirst();
            Map<String, Tensor> results = session.runTensors(batch);
            var noise = RoundingNoise.of(model, batch, results, threads);
            var outputs = new ReferenceOutputs(model, data, noise, threads);
            var rows = new LinkedHashMap<String, Integer>();
            outputs.add(floats(batch, results, rows), rows, evidence);
            return outputs;
        }
    }

    private long numbers() {
        return results.stream()
                .flatMap(batch -> batch.values().stream())
                .mapToLong(values -> values.length)
                .sum();
    }

    private void add(Map<String, float[]> floats, Map<String, Integer> rows, Evidence evidence) {
        results.add(floats);
        floats.forEach((name, values) -> {
            if (rows.getOrDefault(name, 1) == LABELS) {
                evidence.addIntegers(name, values.length);
            } else {
                evidence.add(name, values);
            }
        });
    }

    private static Map<String, float[]> run(
            RunningModel session, Map<String, Tensor> batch, Map<String, Integer> rows) {
        try (var scope = new PointerScope()) {
            return floats(batch, session.runTensors(batch), rows);
        }
    }

    /** The numbers that count, and how long their rows are. */
    private static Map<String, float[]> floats(
            Map<String, Tensor> batch, Map<String, Tensor> results, Map<String, Integer> rows) {
        var floats = new LinkedHashMap<String, float[]>();
        Padding padding = Padding.of(batch);
        boolean real = results.values().stream().anyMatch(Tensor::is_floating_point);
        results.forEach((name, tensor) -> {
            if (tensor.is_floating_point() == real) {
                Tensor visible = padding.visible(tensor);
                floats.put(name, Tensors.floats(visible.to(ScalarType.Float).contiguous()));
                rows.put(name, real ? RowDistance.row(Tensors.shape(visible)) : LABELS);
            }
        });
        return floats;
    }

    /** How far the results of another model are from these, from 0 on. */
    public double drop(OnnxModel candidate) {
        try (var session = OnnxSession.open(candidate, s -> s.threads(threads))) {
            return drop(session);
        }
    }

    /** How far the results of a model of any runtime are from these, from 0 on. */
    double drop(RunningModel candidate) {
        var distances = new LinkedHashMap<String, RowDistance>();
        for (int i = 0; i < results.size(); i++) {
            var rows = new LinkedHashMap<String, Integer>();
            Map<String, float[]> found = run(candidate, data.get(i), rows);
            results.get(i)
                    .forEach((name, expected) -> {
                        float[] other = found.getOrDefault(name, new float[0]);
                        int row = rows.getOrDefault(name, 1);
                        ignoreNoise(expected, other, noise.of(name));
                        RowDistance distance =
                                distances.computeIfAbsent(name, k -> new RowDistance());
                        if (row == LABELS) {
                            distance.addIntegers(expected, other);
                        } else {
                            distance.add(expected, other, row);
                        }
                    });
        }
        return distances.values().stream().mapToDouble(RowDistance::mean).reduce(0, Math::max);
    }

    /**
     * The sum of a batch's results, each times a random sign and scaled so that the mean square of
     * what a small change to an example's results adds to it is their {@link #drop}.
     */
    public static Tensor projected(
            Map<String, Tensor> inputs, Map<String, Tensor> results, RandomGenerator random) {
        Padding padding = Padding.of(inputs);
        long examples = InputBatches.examples(inputs);
        Tensor sum = Tensors.zeros();
        for (Tensor result : results.values()) {
            if (result.is_floating_point() && result.numel() > 0) {
                Tensor rows = padding.visible(result);
                rows = rows.reshape(-1, RowDistance.row(Tensors.shape(rows)));
                sum = sum.add(rows.mul(weights(rows.detach(), examples, random)).sum());
            }
        }
        return sum;
    }

    private static Tensor weights(Tensor rows, long examples, RandomGenerator random) {
        var signs = new float[Math.toIntExact(rows.numel())];
        for (int i = 0; i < signs.length; i++) {
            signs[i] = random.nextBoolean() ? 1 : -1;
        }
        Tensor weights = Tensors.of(signs, Tensors.shape(rows));
        long[] along = {1};
        Tensor squares =
                rows.square()
                        .sum(along, true, new ScalarTypeOptional())
                        .clamp_min(new Scalar(1e-12));
        if (rows.size(1) > 1) { // a cosine does not see how long the rows are
            Tensor length = weights.mul(rows).sum(along, true, new ScalarTypeOptional());
            weights = weights.sub(rows.mul(length.div(squares)));
        }
        double count = (double) rows.size(0) / examples;
        return weights.div(squares.sqrt()).div(new Scalar(Math.sqrt(2 * count)));
    }

    /** Makes numbers equal that differ by no more than the float model does from itself. */
    private static void ignoreNoise(float[] expected, float[] found, double noise) {
        for (int i = 0; i < Math.min(expected.length, found.length); i++) {
            if (Math.abs((double) expected[i] - found[i]) <= noise) {
                found[i] = expected[i];
            }
        }
    }
}
