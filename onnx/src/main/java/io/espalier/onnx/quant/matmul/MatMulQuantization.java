package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.UnaryOperator;

/**
 * Products with constant matrices in 8-bit integers: unsigned activations with one scale, signed
 * weights with a scale for each column. Products of two activations, softmax, masks,
 * normalizations, activations and sums stay float.
 *
 * <p>What such a model loses, it loses in activations, where few channels are many times larger
 * than the others. Two things are done about it, both exact in float: channels are shifted to their
 * centres where that costs nothing, and outlying ones are divided before they are quantized where
 * that lowers the error on the calibration data.
 */
public final class MatMulQuantization {
    private MatMulQuantization() {}

    /**
     * A quantized copy of a model.
     *
     * @param model the copy
     * @param sites what became of each product with a constant matrix, in the order of computation
     */
    public record Result(OnnxModel model, List<SiteReport> sites) {
        /** Copies the list. */
        public Result {
            sites = List.copyOf(sites);
        }
    }

    /** {@link #dynamic(OnnxModel, Iterable, UnaryOperator)} as it comes. */
    public static Result dynamic(OnnxModel model, Iterable<Map<String, Tensor>> calibration) {
        return dynamic(model, calibration, settings -> settings);
    }

    /**
     * Quantizes such that each batch finds the range of its activations while the model runs.
     *
     * @param model a float model
     * @param calibration batches of the model's inputs by name, which are gone through once, one by
     *     one; if there are none, nothing is shifted or divided
     * @param how changes the settings
     * @throws io.espalier.tensor.EspalierException if the model can't be run on the data
     */
    public static Result dynamic(
            OnnxModel model,
            Iterable<Map<String, Tensor>> calibration,
            UnaryOperator<MatMulSettings> how) {
        MatMulSettings settings = how.apply(MatMulSettings.DEFAULT);
        IntegerProduct operators =
                model.opset() >= 11 || settings.portable()
                        ? IntegerProduct.DYNAMIC
                        : IntegerProduct.DYNAMIC_FUSED;
        if (model.opset() < 11 && settings.portable()) {
            return allFloat(model, settings, 11);
        }
        return quantize(GroupPlanning.dynamic(model, calibration, settings), operators, settings);
    }

    /** {@link #fixed(OnnxModel, Iterable, UnaryOperator)} as it comes. */
    public static Result fixed(OnnxModel model, Iterable<Map<String, Tensor>> calibration) {
        return fixed(model, calibration, settings -> settings);
    }

    /**
     * Quantizes with ranges that are fixed beforehand, by what calibration data show: static
     * quantization.
     *
     * @param model a float model
     * @param calibration batches of the model's inputs by name, which are gone through once, one by
     *     one
     * @param how changes the settings
     * @throws io.espalier.tensor.EspalierException if there are no data, or the model can't be run
     *     on them
     */
    public static Result fixed(
            OnnxModel model,
            Iterable<Map<String, Tensor>> calibration,
            UnaryOperator<MatMulSettings> how) {
        MatMulSettings settings = how.apply(MatMulSettings.DEFAULT);
        if (model.opset() < 10) {
            return allFloat(model, settings, 10);
        }
        IntegerProduct operators = IntegerProduct.STATIC;
        if (settings.portable()) {
            operators =
                    model.opset() >= 13 ? IntegerProduct.STATIC_QDQ : IntegerProduct.STATIC_INTEGER;
        }
        return quantize(GroupPlanning.fixed(model, calibration, settings), operators, settings);
    }

    private static Result allFloat(OnnxModel model, MatMulSettings settings, int needed) {
        var reports = new ArrayList<SiteReport>();
        for (SiteGroup group : SiteGroup.of(model.graph(), settings)) {
            for (MatMulSite site : group.sites()) {
                String why =
                        "opset %d has no operators for it; opset %d has"
                                .formatted(model.opset(), needed);
                reports.add(SiteReport.left(site.name(), site.floatBecause().orElse(why)));
            }
        }
        return new Result(model.copy(), reports);
    }

    private static Result quantize(
            GroupPlanning planned, IntegerProduct operators, MatMulSettings settings) {
        OnnxModel written =
                planned.model()
                        .rewritten(graph -> {
                            var writer = new GroupWriter(graph, operators, settings);
                            planned.plans().forEach(writer::write);
                            graph.removeUnused();
                        });
        return new Result(withDomain(written), reports(planned));
    }

    /** The model, which may call the runtime's own operators if it does. */
    static OnnxModel withDomain(OnnxModel model) {
        OnnxGraph graph = model.graph();
        boolean own =
                graph.nodes().stream().map(OnnxNode::domain).anyMatch(OnnxNode.MICROSOFT::equals);
        return own && !model.opsets().containsKey(OnnxNode.MICROSOFT)
                ? model.withOpset(OnnxNode.MICROSOFT, 1)
                : model;
    }

    private static List<SiteReport> reports(GroupPlanning planned) {
        var reports = new ArrayList<SiteReport>();
        for (GroupPlan plan : planned.plans()) {
            int place = 0;
            for (MatMulSite site : plan.group().quantizable()) {
                OptionalDouble error =
                        plan.losses().isEmpty()
                                ? OptionalDouble.empty()
                                : OptionalDouble.of(plan.losses().get(place).error());
                reports.add(new SiteReport(site.name(), 8, plan.remark(), error));
                place++;
            }
        }
        for (SiteGroup group : planned.groups()) {
            for (MatMulSite site : group.sites()) {
                site.floatBecause()
                        .ifPresent(why -> reports.add(SiteReport.left(site.name(), why)));
            }
        }
        return reports;
    }
}
