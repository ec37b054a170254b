package io.espalier.conformance;

import io.espalier.conformance.PlainLayer.Reals;
import io.espalier.conformance.PlainObserver.Scheme;
import io.espalier.conformance.PlainRounding.Step;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The networks of the cases, in floats and in integers, as plain loops. */
final class PlainNetwork {
    /** What happens to the result of a place. */
    interface Place {
        Reals at(String path, Reals value);
    }

    private final String name;
    private final List<List<String>> fused;
    private final Map<String, float[]> parameters = new LinkedHashMap<>();
    private final Map<String, long[]> shapes = new LinkedHashMap<>();
    private final Map<String, PlainLayer> layers = new LinkedHashMap<>();

    /** Those that are not folded, by the path of the layer before. */
    private final Map<String, PlainNorm> norms = new LinkedHashMap<>();

    private final long[] inputShape;

    private PlainNetwork(String name, List<List<String>> fused, long... inputShape) {
        this.name = name;
        this.fused = fused;
        this.inputShape = inputShape;
    }

    static PlainNetwork drawn(Draws draws) {
        int rows = draws.random.nextInt(1, 6);
        int in = draws.random.nextInt(1, 9);
        int hidden = draws.random.nextInt(2, 11);
        boolean relu = draws.random.nextInt(4) > 0;
        return switch (draws.random.nextInt(4)) {
            case 0 -> {
                var network = new PlainNetwork("linear", List.of(), rows, in);
                network.linear(draws, "body.0", in, hidden, false);
                yield network;
            }
            case 1 -> {
                List<List<String>> chains = relu ? List.of(List.of("0", "1")) : List.of();
                var network = new PlainNetwork("linear_relu", chains, rows, in);
                network.linear(draws, "body.0", in, hidden, relu);
                network.linear(draws, "body.2", hidden, draws.random.nextInt(1, 5), false);
                yield network;
            }
            case 2 -> {
                List<List<String>> chains =
                        draws.of(
                                List.of(List.of("0", "1", "2"), List.of("3", "4", "5")),
                                List.of(List.of("0", "1"), List.of("3", "4")),
                                List.of());
                long side = draws.random.nextInt(4, 10);
                var network =
                        new PlainNetwork(
                                "conv_bn_relu_x2_pool_linear", chains, rows, 3, side, side);
                network.normalized(draws, "body.0", 3, 8, new PlainConvolution(1, 1, 1, 1, false));
                network.normalized(
                        draws, "body.3", 8, hidden, new PlainConvolution(2, 0, 1, 1, false));
                boolean whole = !chains.isEmpty() && chains.getFirst().size() == 3;
                network.layers.replaceAll((path, layer) -> layer.rectifying(whole));
                network.linear(draws, "body.8", hidden, 4, false);
                yield network;
            }
            default -> {
                long side = draws.random.nextInt(3, 8);
                var network = new PlainNetwork("residual_add", List.of(), rows, 3, side, side);
                network.layer(draws, "body.a", new PlainConvolution(1, 1, 1, 1, false), 3, 3, 3, 3);
                network.layer(draws, "body.b", PlainConvolution.USUAL, 3, 3, 1, 1);
                yield network;
            }
        };
    }

    private void linear(Draws draws, String path, int in, int out, boolean relu) {
        layer(draws, path, PlainConvolution.USUAL, out, in);
        layers.replace(path, layer(path).rectifying(relu));
    }

    private void normalized(
            Draws draws, String path, int in, int out, PlainConvolution convolution) {
        layer(draws, path, convolution, out, in, 3, 3);
        String norm = next(path) + ".";
        float[] gamma = parameter(norm + "weight", draws.uniform(out, 0.5, 1.5), out);
        float[] beta = parameter(norm + "bias", draws.normal(out, 0.3), out);
        float[] mean = parameter(norm + "running_mean", draws.normal(out, 0.3), out);
        float[] variance = parameter(norm + "running_var", draws.uniform(out, 0.5, 2), out);
        if (fused.isEmpty()) {
            norms.put(path, new PlainNorm(gamma, beta, mean, variance));
        } else {
            layers.replace(path, layer(path).folded(gamma, beta, mean, variance, PlainNorm.EPS));
        }
    }

    /** The place after a layer's. */
    static String next(String path) {
        return "body." + (path.charAt(path.length() - 1) - '0' + 1);
    }

    private void layer(Draws draws, String path, PlainConvolution convolution, long... shape) {
        int size = Draws.size(shape);
        double most = 1 / Math.sqrt((double) size / shape[0]);
        float[] weight = parameter(path + ".weight", draws.uniform(size, -most, most), shape);
        int out = (int) shape[0];
        float[] bias = new float[out];
        if (draws.random.nextInt(5) > 0) {
            bias = parameter(path + ".bias", draws.uniform(out, -most, most), out);
        }
        layers.put(path, new PlainLayer(weight, shape, bias, convolution, false));
    }

    private float[] parameter(String path, float[] values, long... shape) {
        parameters.put(path, values);
        shapes.put(path, shape);
        return values;
    }

    private PlainLayer layer(String path) {
        PlainLayer layer = layers.get(path);
        if (layer == null) {
            throw new IllegalArgumentException(path);
        }
        return layer;
    }

    String name() {
        return name;
    }

    /** The chains that are fused, as the case names them. */
    List<List<String>> fused() {
        return fused;
    }

    /** The layers that compute, by path, batch normalizations folded. */
    Map<String, PlainLayer> layers() {
        return layers;
    }

    /** So many rows of input. */
    Reals input(Draws draws, int rows) {
        long[] shape = inputShape.clone();
        shape[0] = rows;
        return new Reals(draws.normal(Draws.size(shape), 1), shape);
    }

    CaseWriter inputs(CaseWriter written) {
        parameters.forEach((path, values) -> written.input("param." + path, tensor(path, values)));
        return written;
    }

    private Tensor tensor(String path, float[] values) {
        long[] shape = shapes.get(path);
        return Tensors.of(values, shape == null ? new long[0] : shape);
    }

    /** The float model with these parameters. */
    Module model() {
        return Models.inStubs(name, inputs(new CaseWriter(name)).inputs());
    }

    /** The places whose results are observed. */
    List<String> observed() {
        List<String> paths = new ArrayList<>(List.of("quant"));
        for (String path : layers.keySet()) {
            paths.add(path);
            if (norms.containsKey(path)) {
                paths.add(next(path));
            }
        }
        if (name.equals("residual_add")) {
            paths.add("body.add");
        }
        return paths;
    }

    /** The output, each observed result passed through {@code place}. */
    Reals of(Reals input, Place place) {
        return run(input, place, (path, x) -> layer(path).of(x), Map.of());
    }

    private Reals run(Reals input, Place place, Place compute, Map<String, Step> steps) {
        Reals x = place.at("quant", input);
        if (name.equals("residual_add")) {
            Reals a = place.at("body.a", compute.at("body.a", x));
            Reals b = place.at("body.b", compute.at("body.b", x));
            return place.at("body.add", a.plus(b));
        }
        for (String path : layers.keySet()) {
            x = place.at(path, compute.at(path, x));
            String seen = path;
            PlainNorm norm = norms.get(path);
            if (norm != null) {
                seen = next(path);
                x = place.at(seen, norm.of(x));
            }
            if (!path.equals(last())) {
                x = x.rectified();
            }
            if (path.equals("body.3")) {
                // The integers keep the step of what comes in.
                Step step = steps.get(seen);
                x = step == null ? x.pooled() : x.pooled(step);
            }
        }
        return x;
    }

    private String last() {
        return List.copyOf(layers.keySet()).getLast();
    }

    /** The steps that histograms of the observed results may lead to, nearly always one. */
    Map<String, List<Step>> steps(List<Reals> calibration, Scheme scheme) {
        Map<String, PlainHistogram> histograms = new LinkedHashMap<>();
        observed().forEach(path -> histograms.put(path, new PlainHistogram(2048)));
        for (Reals batch : calibration) {
            of(
                    batch,
                    (path, value) -> {
                        PlainHistogram histogram = histograms.get(path);
                        if (histogram != null) {
                            histogram.see(value.values());
                        }
                        return value;
                    });
        }
        Map<String, List<Step>> steps = new LinkedHashMap<>();
        histograms.forEach((path, histogram) ->
                steps.put(
                        path,
                        PlainHistogram.search(histogram.counts(), histogram.min, histogram.max)
                                .stream()
                                .map(ends -> PlainObserver.step(ends.min(), ends.max(), scheme))
                                .toList()));
        return steps;
    }

    /** The output in integers, as the floats that they stand for. */
    Reals rounded(Reals input, Map<String, Step> steps, boolean perChannel) {
        return run(
                input,
                (path, value) -> value.rounded(step(steps, path)),
                (path, x) ->
                        layer(path)
                                .rounded(x, step(steps, path), layer(path).weightSteps(perChannel)),
                steps);
    }

    static Step step(Map<String, Step> steps, String path) {
        Step step = steps.get(path);
        if (step == null) {
            throw new IllegalArgumentException(path);
        }
        return step;
    }
}
