package io.espalier.onnx.quant;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.conv.ConvolutionQuantization;
import io.espalier.onnx.quant.matmul.EmbeddingQuantization;
import io.espalier.onnx.quant.matmul.MatMulQuantization;
import io.espalier.onnx.quant.matmul.SiteReport;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What each layer of an ONNX model costs in accuracy when it alone is in 8-bit integers.
 *
 * <pre>{@code
 * List<LayerSensitivity.Entry> ranked = LayerSensitivity.measuring().of(model, lines);
 * IO.println(ranked.getFirst());   // the layer that hurts most
 * }</pre>
 *
 * <p>Each setting gives a changed copy.
 */
public final class LayerSensitivity {
    private static final String DROP = "drop";
    private static final String DISTANCE = "distance";

    private final int threads;
    private final Listener listener;
    private final @Nullable Path journal;
    private final Optional<Task> task;

    private LayerSensitivity(
            int threads, Listener listener, @Nullable Path journal, Optional<Task> task) {
        this.threads = threads;
        this.listener = listener;
        this.journal = journal;
        this.task = task;
    }

    /**
     * A layer and what it costs.
     *
     * @param layer its node's name, in the repaired graph
     * @param operators what it consists of
     * @param drop how far the model's results are from the float model's if this layer alone is in
     *     integers: 1 less their cosine, as a mean; where labels judge, the part of the float
     *     model's right results that is lost, below 0 if there are more
     */
    public record Entry(String layer, String operators, double drop) {}

    /** Is told of each layer that was measured. */
    @FunctionalInterface
    public interface Listener {
        /**
         * A layer was measured.
         *
         * @param done how many are
         * @param all how many there are
         */
        void measured(Entry entry, int done, int all);
    }

    /** With all cores, silently, without a journal. */
    public static LayerSensitivity measuring() {
        return new LayerSensitivity(
                Runtime.getRuntime().availableProcessors(),
                (entry, done, all) -> {},
                null,
                Optional.empty());
    }

    /**
     * How many threads the models run with.
     *
     * @param count from 1 to 1024
     */
    public LayerSensitivity threads(int count) {
        if (count < 1 || count > 1024) {
            throw new EspalierException("A session has from 1 to 1024 threads, not " + count + ".");
        }
        return new LayerSensitivity(count, listener, journal, task);
    }

    /** Tells somebody how far it is. */
    public LayerSensitivity listener(Listener told) {
        return new LayerSensitivity(threads, told, journal, task);
    }

    /**
     * Keeps what is measured in a file, layer after layer. If the file is there, what it has is not
     * measured again: work that was stopped goes on.
     */
    public LayerSensitivity journal(Path file) {
        return new LayerSensitivity(threads, listener, file, task);
    }

    /**
     * Ranks layers by what the model gets right, as the labels of the inputs say; those that cost
     * the same, by how far results move.
     *
     * @param meaning what the labels mean
     */
    public LayerSensitivity judgedBy(Task meaning) {
        return new LayerSensitivity(threads, listener, journal, Optional.of(meaning));
    }

    /**
     * Measures all layers of a model.
     *
     * @return those that cost most first
     * @throws EspalierException if the data does not fit the model or has no labels where they are
     *     to judge, or the journal is of another
     */
    public List<Entry> of(OnnxModel model, Inputs inputs) {
        try (var kept = opened();
                var data = CalibrationData.read(model, inputs, CalibrationData.ENOUGH)) {
            begin(kept, model, data);
            var reference = ReferenceOutputs.witnessed(model, data.batches(), threads);
            OnnxModel repaired = Preparation.of(reference.model());
            var judgement = new Judgement(reference, data, settings());
            Map<Entry, Supplier<OnnxModel>> alone = alone(repaired, data);
            var entries = new ArrayList<Entry>();
            var distances = new HashMap<Entry, Double>();
            alone.forEach((layer, quantized) -> {
                String name = layer.layer() + " " + layer.operators();
                Cost cost = cost(kept, name, judgement, quantized);
                var entry = new Entry(layer.layer(), layer.operators(), cost.drop());
                distances.put(entry, cost.distance());
                entries.add(entry);
                listener.measured(entry, entries.size(), alone.size());
            });
            entries.sort(
                    Comparator.comparingDouble(Entry::drop)
                            .thenComparing(entry -> distances.getOrDefault(entry, 0.0))
                            .reversed());
            return List.copyOf(entries);
        }
    }

    private QuantizationSettings settings() {
        return QuantizationSettings.of(QuantizationMode.AUTO)
                .with(s -> {
                    s.threads = threads;
                    s.task = task;
                });
    }

    /** What a layer costs by the labels, if they judge, and how far it moves the results. */
    private record Cost(double drop, double distance) {}

    private Cost cost(
            Journal kept, String name, Judgement judgement, Supplier<OnnxModel> quantized) {
        if (task.isEmpty()) {
            double distance = kept.number(name, () -> judgement.distance(quantized.get()));
            return new Cost(distance, distance);
        }
        Map<String, Double> found =
                kept.numbers(
                        name,
                        () -> {
                            OnnxModel model = quantized.get();
                            return Map.of(
                                    DROP,
                                    judgement.drop(model),
                                    DISTANCE,
                                    judgement.distance(model));
                        });
        return new Cost(found.getOrDefault(DROP, 0.0), found.getOrDefault(DISTANCE, 0.0));
    }

    private Journal opened() {
        return journal == null ? Journal.none() : Journal.open(new Journal.Place(journal, false));
    }

    private void begin(Journal kept, OnnxModel model, CalibrationData data) {
        if (journal != null) {
            String judged = task.map(meaning -> "; " + meaning + data.requireLabels()).orElse("");
            kept.of(Digest.of(model, data, "sensitivity" + judged));
        }
    }

    /** Each layer, and how a model is made in which it alone is in integers. */
    private static Map<Entry, Supplier<OnnxModel>> alone(OnnxModel model, CalibrationData data) {
        var alone = new LinkedHashMap<Entry, Supplier<OnnxModel>>();
        var convolutions = ConvolutionQuantization.of(model, node -> true, false);
        convolutions
                .layers()
                .forEach(layer ->
                        alone.put(
                                new Entry(layer.name(), layer.operators(), 0),
                                () -> convolutions.alone(layer, data.batches())));
        List<SiteReport> products = MatMulQuantization.dynamic(model, List.of()).sites();
        for (String name : names(products)) {
            alone.put(
                    new Entry(name, "MatMul", 0),
                    () ->
                            MatMulQuantization.fixed(
                                            model,
                                            data.batches(),
                                            how -> how.keepingFloat(others(products, name)))
                                    .model());
        }
        List<SiteReport> tables = EmbeddingQuantization.eightBit(model, List.of()).sites();
        for (String name : names(tables)) {
            alone.put(
                    new Entry(name, "Gather", 0),
                    () ->
                            EmbeddingQuantization.eightBit(model, List.of(others(tables, name)))
                                    .model());
        }
        return alone;
    }

    private static List<String> names(List<SiteReport> sites) {
        return sites.stream().filter(SiteReport::isQuantized).map(SiteReport::name).toList();
    }

    private static String[] others(List<SiteReport> sites, String name) {
        return sites.stream()
                .map(SiteReport::name)
                .filter(other -> !other.equals(name))
                .toArray(String[]::new);
    }
}
