package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.quant.accuracy.ChannelRanges;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;

/**
 * What calibration data say about the values that products read: each channel's range over all of
 * them, and rows from a few batches. Batches go through one by one, and none is kept.
 */
final class ActivationStatistics {
    /** Batches that rows are kept of, drawn evenly from all. */
    private static final int SAMPLED_BATCHES = 8;

    /** Rows of a batch that are kept at most, and at least. */
    private static final int MOST_ROWS = 64;

    private static final int LEAST_ROWS = 8;

    /** Bytes that all samples may take. */
    private static final long SAMPLE_BYTES = 128L << 20;

    private static final long SEED = 17;

    private final Map<String, Channels> byValue = new LinkedHashMap<>();
    private final Random random = new Random(SEED);
    private final int rowsPerBatch;
    private int batches;

    private static final class Channels {
        final int channels;
        final PerChannelMinMaxObserver observer;
        final List<ActivationSample> samples = new ArrayList<>();

        Channels(String value, int channels) {
            this.channels = channels;
            observer = perChannel(value);
        }
    }

    private static PerChannelMinMaxObserver perChannel(String value) {
        var observer = new PerChannelMinMaxObserver(PerChannelMinMaxObserver.with().channelAxis(1));
        observer.standsAt(value);
        return observer;
    }

    private ActivationStatistics(Collection<SiteGroup> groups) {
        long channels = 0;
        for (SiteGroup group : groups) {
            byValue.put(group.input(), new Channels(group.input(), group.channels()));
            channels += group.channels();
        }
        long rows = SAMPLE_BYTES / (Math.max(1, channels) * Float.BYTES * SAMPLED_BATCHES);
        rowsPerBatch = Math.clamp(rows, LEAST_ROWS, MOST_ROWS);
    }

    /**
     * Runs a model on calibration data and looks at what each group reads.
     *
     * @throws EspalierException if there are no data
     */
    static ActivationStatistics gather(
            OnnxModel model,
            Collection<SiteGroup> groups,
            Iterable<Map<String, Tensor>> calibration) {
        var statistics = new ActivationStatistics(groups);
        List<String> values = groups.stream().map(SiteGroup::input).toList();
        forEachBatch(model, values, calibration, statistics::observe);
        if (statistics.batches == 0) {
            throw new EspalierException("There are no calibration data; give one batch or more.");
        }
        return statistics;
    }

    /** Runs a model on each batch and hands over the values asked for, freed afterwards. */
    static void forEachBatch(
            OnnxModel model,
            Collection<String> values,
            Iterable<Map<String, Tensor>> calibration,
            Consumer<Map<String, Tensor>> batch) {
        OnnxGraph graph = model.graph();
        List<String> made = values.stream().filter(v -> graph.producer(v) != null).toList();
        try (var session = OnnxSession.open(model, s -> s.tapping(made))) {
            for (Map<String, Tensor> inputs : calibration) {
                try (var scope = new PointerScope()) {
                    var found = new LinkedHashMap<String, Tensor>();
                    Map<String, Tensor> results = session.run(inputs);
                    for (String value : values) {
                        Tensor tensor = results.getOrDefault(value, inputs.get(value));
                        if (tensor != null && tensor.numel() > 0) {
                            found.put(value, tensor);
                        }
                    }
                    batch.accept(found);
                }
            }
        }
    }

    private void observe(Map<String, Tensor> values) {
        int place = batches < SAMPLED_BATCHES ? batches : random.nextInt(batches + 1);
        batches++;
        values.forEach((value, tensor) -> observe(value, tensor, place));
    }

    private void observe(String value, Tensor tensor, int place) {
        Channels of = byValue.get(value);
        if (of == null) {
            return;
        }
        Tensor rows = tensor.reshape(-1, of.channels);
        var batch = perChannel(value);
        batch.call(rows);
        of.observer.merge(batch);
        if (place < SAMPLED_BATCHES && batch.hasObserved()) {
            var sample = new ActivationSample(some(rows), ChannelRanges.of(batch));
            if (place < of.samples.size()) {
                of.samples.set(place, sample);
            } else {
                of.samples.add(sample);
            }
        }
    }

    /** Rows drawn at random, all if there are few. */
    private Tensor some(Tensor rows) {
        int count = Math.toIntExact(rows.size(0));
        if (count <= rowsPerBatch) {
            return Tensors.keep(rows.clone());
        }
        long[] chosen =
                random.ints(0, count)
                        .distinct()
                        .limit(rowsPerBatch)
                        .sorted()
                        .asLongStream()
                        .toArray();
        return Tensors.keep(rows.index_select(0, Tensors.of(chosen, chosen.length)));
    }

    /** Whether a value was seen, and only in rows of the expected length. */
    boolean has(String value) {
        Channels of = byValue.get(value);
        return of != null && !of.samples.isEmpty();
    }

    /** Each channel's range over all data. */
    ChannelRanges ranges(String value) {
        return ChannelRanges.of(of(value).observer);
    }

    /** Rows of a few batches. */
    List<ActivationSample> samples(String value) {
        return List.copyOf(of(value).samples);
    }

    private Channels of(String value) {
        Channels of = byValue.get(value);
        if (of == null) {
            throw new EspalierException("The value '" + value + "' was not looked at.");
        }
        return of;
    }
}
