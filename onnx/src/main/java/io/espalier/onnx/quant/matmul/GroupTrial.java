package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.quant.accuracy.ChannelRanges;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * Tries on samples what a group's products lose in integers.
 *
 * @param graph what the weights are in
 * @param group the products
 * @param samples of the value that they read
 * @param settings how weights are quantized
 */
record GroupTrial(
        OnnxGraph graph, SiteGroup group, List<ActivationSample> samples, MatMulSettings settings) {
    private static final double TINY = 1e-30;

    /**
     * A way to quantize the input.
     *
     * @param factors what each channel is divided by first
     * @param range what a batch maps to, by the ranges of its channels once they are divided
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Way(float[] factors, Function<ChannelRanges, QuantizationParameters> range) {}

    /**
     * What a product loses.
     *
     * @param error the root of the mean, over rows, of the squared error relative to the row's own
     *     size: no row counts for more because its numbers are large
     * @param drift the mean error of each column
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Loss(double error, float[] drift) {}

    /** What each product that is quantized loses, one list for each way. */
    List<List<Loss>> losses(List<Way> ways) {
        var losses = new ArrayList<List<Loss>>();
        ways.forEach(way -> losses.add(new ArrayList<>()));
        for (MatMulSite site : group.quantizable()) {
            try (var scope = new PointerScope()) {
                Tensor weight = site.weight(graph);
                List<Tensor> outputs =
                        samples.stream().map(sample -> sample.rows().matmul(weight)).toList();
                for (int w = 0; w < ways.size(); w++) {
                    losses.get(w).add(loss(weight, outputs, ways.get(w)));
                }
            }
        }
        return losses;
    }

    private Loss loss(Tensor weight, List<Tensor> outputs, Way way) {
        try (var scope = new PointerScope()) {
            Tensor factors = Tensors.of(way.factors());
            Tensor scaled = weight.mul(factors.unsqueeze(1));
            Tensor rounded = QuantizedWeight.parameters(scaled, settings).simulate(scaled);
            Tensor drift = Tensors.zeros(weight.size(1));
            double squares = 0;
            long rows = 0;
            for (int i = 0; i < samples.size(); i++) {
                try (var each = new PointerScope()) {
                    ActivationSample sample = samples.get(i);
                    Tensor x = sample.rows();
                    Tensor quantized =
                            way.range()
                                    .apply(sample.ranges().dividedBy(way.factors()))
                                    .simulate(x.div(factors));
                    Tensor error = quantized.matmul(rounded).sub(outputs.get(i));
                    squares += relativeSquares(error, outputs.get(i));
                    drift.add_(error.sum(0));
                    rows += x.size(0);
                }
            }
            drift.div_(new Scalar((double) rows));
            return new Loss(Math.sqrt(squares / rows), Tensors.floats(drift));
        }
    }

    private static double relativeSquares(Tensor error, Tensor output) {
        Tensor size = rowSquares(output).add(new Scalar(TINY));
        return rowSquares(error).div(size).sum().item_double();
    }

    private static Tensor rowSquares(Tensor rows) {
        return rows.square().sum(new long[] {1});
    }
}
