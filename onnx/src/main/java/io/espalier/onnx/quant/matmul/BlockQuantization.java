package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.quant.accuracy.BlockRounding;
import io.espalier.quant.accuracy.BlockedWeight;
import io.espalier.quant.accuracy.SecondMoments;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;

/**
 * Products with constant matrices in 4-bit integers, a scale and a zero point for each block of a
 * column, computed by ONNX Runtime's own operator: an eighth of the size, and faster where few rows
 * are multiplied at once, as when one text is read or written.
 */
public final class BlockQuantization {
    private static final int BITS = 4;

    /** Bytes of moments that are gathered in one pass over the data. */
    private static final long MOST_BYTES = 256L << 20;

    private final OnnxModel model;
    private final Iterable<Map<String, Tensor>> calibration;
    private final BlockSettings settings;
    private final BlockRounding rounding;
    private final List<SiteReport> reports = new ArrayList<>();

    private BlockQuantization(
            OnnxModel model, Iterable<Map<String, Tensor>> calibration, BlockSettings settings) {
        this.model = model;
        this.calibration = calibration;
        this.settings = settings;
        this.rounding = new BlockRounding(BITS, settings.block());
    }

    /**
     * Quantizes a copy of a model.
     *
     * @param calibration batches of the model's inputs by name; they are gone through as often as
     *     memory for what is learnt from them takes
     * @throws io.espalier.tensor.EspalierException if the model can't be run on the data
     */
    public static MatMulQuantization.Result of(
            OnnxModel model, Iterable<Map<String, Tensor>> calibration, BlockSettings settings) {
        return new BlockQuantization(model, calibration, settings).run();
    }

    private MatMulQuantization.Result run() {
        var sites = new ArrayList<MatMulSite>();
        for (SiteGroup group : SiteGroup.of(model.graph(), settings.sites())) {
            sites.addAll(group.quantizable());
            for (MatMulSite site : group.sites()) {
                site.floatBecause().ifPresent(why -> leave(site, why));
            }
        }
        OnnxModel written =
                model.rewritten(graph -> {
                    for (List<BlockProduct> wave : waves(BlockProduct.of(sites))) {
                        write(graph, wave);
                    }
                    graph.removeUnused();
                });
        return new MatMulQuantization.Result(MatMulQuantization.withDomain(written), reports);
    }

    private void leave(MatMulSite site, String why) {
        reports.add(SiteReport.left(site.name(), why));
    }

    /** As many matrices at once as memory allows. */
    private List<List<BlockProduct>> waves(List<BlockProduct> products) {
        var waves = new ArrayList<List<BlockProduct>>();
        var inputs = new HashSet<String>();
        long bytes = 0;
        for (BlockProduct product : products) {
            long rows = product.first().rows(model.graph());
            long more = 0;
            for (String input : product.inputs()) {
                more += inputs.add(input) ? rows * rows * Float.BYTES : 0;
            }
            if (waves.isEmpty() || bytes + more > MOST_BYTES) {
                waves.add(new ArrayList<>());
                inputs.clear();
                inputs.addAll(product.inputs());
                bytes = rows * rows * Float.BYTES * product.inputs().size();
            } else {
                bytes += more;
            }
            waves.getLast().add(product);
        }
        return waves;
    }

    private void write(OnnxGraph graph, List<BlockProduct> wave) {
        var channels = new LinkedHashMap<String, Integer>();
        for (BlockProduct product : wave) {
            int rows = Math.toIntExact(product.first().rows(graph));
            product.inputs().forEach(input -> channels.put(input, rows));
        }
        var seen = new LinkedHashMap<String, SecondMoments>();
        try {
            Set<String> vectors = observe(channels, seen);
            for (BlockProduct product : wave) {
                if (product.inputs().stream().anyMatch(vectors::contains)) {
                    product.sites().forEach(site -> leave(site, "its input has one dimension"));
                } else {
                    write(graph, product, seen);
                }
            }
        } finally {
            seen.values().forEach(SecondMoments::close);
        }
    }

    /**
     * Looks at values on the data; on one batch if only their dimensions count.
     *
     * @return those of one dimension, which the runtime's operator does not take
     */
    private Set<String> observe(Map<String, Integer> channels, Map<String, SecondMoments> seen) {
        var vectors = new LinkedHashSet<String>();
        boolean learns = settings.rounding() == RoundingMethod.GPTQ;
        Iterable<Map<String, Tensor>> data = learns ? calibration : first();
        ActivationStatistics.forEachBatch(
                model,
                channels.keySet(),
                data,
                values ->
                        values.forEach((value, tensor) -> {
                            if (tensor.dim() < 2) {
                                vectors.add(value);
                            } else if (learns) {
                                seen.computeIfAbsent(
                                                value,
                                                v -> new SecondMoments(channels.getOrDefault(v, 0)))
                                        .observe(tensor);
                            }
                        }));
        return vectors;
    }

    private List<Map<String, Tensor>> first() {
        for (Map<String, Tensor> batch : calibration) {
            return List.of(batch);
        }
        return List.of();
    }

    private void write(OnnxGraph graph, BlockProduct product, Map<String, SecondMoments> seen) {
        try (var scope = new PointerScope()) {
            Tensor weight = product.first().weight(graph);
            if (!weight.isfinite().all().item_bool()) {
                product.sites().forEach(site -> leave(site, "its weights are not finite"));
                return;
            }
            try (var moments = new SecondMoments(Math.toIntExact(weight.size(0)))) {
                for (String input : product.inputs()) {
                    SecondMoments of = seen.get(input);
                    if (of != null) {
                        moments.merge(of);
                    }
                }
                boolean known = moments.hasObserved();
                BlockedWeight rounded =
                        known
                                ? rounding.compensating(weight, moments.mean())
                                : rounding.nearest(weight);
                product.write(graph, rounded);
                OptionalDouble error =
                        known
                                ? OptionalDouble.of(moments.error(weight, rounded.values()))
                                : OptionalDouble.empty();
                product.sites()
                        .forEach(site ->
                                reports.add(
                                        new SiteReport(site.name(), BITS, remark(known), error)));
            }
        }
    }

    private String remark(boolean known) {
        String how =
                known
                        ? "fitted to the data"
                        : settings.rounding() == RoundingMethod.GPTQ
                                ? "rounded to nearest, no data reach it"
                                : "rounded to nearest";
        return how + ", a scale for each " + settings.block() + " values";
    }
}
