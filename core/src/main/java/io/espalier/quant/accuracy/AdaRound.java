package io.espalier.quant.accuracy;

import io.espalier.nn.Module;
import io.espalier.quant.Quantization;
import io.espalier.quant.Site;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.train.EvalMode;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/**
 * Learns for each weight whether it is rounded up or down, so that a layer's output stays what it
 * was; rounding each to the nearest integer is not the best for all together. Layer by layer, in
 * the order in which they run, the error of the output (after its ReLU, where one is fused with it)
 * is minimized on calibration data, with inputs from the layers before as already rounded. With few
 * bits it saves much of what rounding to nearest loses; {@link #toString} is a table of it.
 *
 * <p>Source: Nagel et al., <a href="https://arxiv.org/abs/2004.10568">Up or Down? Adaptive Rounding
 * for Post-Training Quantization</a>, 2020.
 *
 * @param layers what was rounded, in the order in which it ran
 */
public record AdaRound(List<Layer> layers) {
    /** Copies the list. */
    public AdaRound {
        layers = List.copyOf(layers);
    }

    /**
     * One layer. The errors are the noise of its output by its signal, over the samples that were
     * learned from; what the layers before it lost is in both.
     *
     * @param path where it stands
     * @param nearest the error with each weight rounded to the nearest integer
     * @param learned the error with the weights as they were rounded; never above {@code nearest}
     */
    public record Layer(String path, double nearest, double learned) {}

    /**
     * How it learns.
     *
     * @param iterations steps of the optimizer for each layer
     * @param samples how many places of its output are looked at for each layer; what they are
     *     computed from is kept, for one layer at a time: 19 MB by default for a 3x3 convolution of
     *     128 channels
     * @param seed decides which places, and their order
     * @param listener is told of each layer once it is done
     */
    public record Options(
            int iterations, int samples, long seed, Consumer<? super Layer> listener) {
        /** 1000 iterations on 4096 samples. */
        public static final Options DEFAULT = new Options(1000, 4096, 0, layer -> {});

        /**
         * Checks the numbers.
         *
         * @throws EspalierException if there are no iterations or samples
         */
        public Options {
            if (iterations < 1 || samples < 1) {
                throw new EspalierException(
                        "AdaRound needs one iteration and one sample or more; got "
                                + iterations
                                + " and "
                                + samples
                                + ".");
            }
        }

        /** The same with another number of steps for each layer. */
        public Options iterations(int value) {
            return new Options(value, samples, seed, listener);
        }

        /** The same with another number of samples for each layer. */
        public Options samples(int value) {
            return new Options(iterations, value, seed, listener);
        }

        /** The same with another seed. */
        public Options seed(long value) {
            return new Options(iterations, samples, value, listener);
        }

        /** The same with another listener. */
        public Options listener(Consumer<? super Layer> value) {
            return new Options(iterations, samples, seed, value);
        }
    }

    /** {@link #apply(Module, List, UnaryOperator)} with the default options. */
    public static AdaRound apply(Module model, List<Tensor> calibration) {
        return apply(model, calibration, options -> options);
    }

    /**
     * Rounds the weights of all Linear layers and convolutions that have a {@code qconfig}; those
     * of transposed convolutions, and of layers that the data does not reach, stay as they are. The
     * weights become what their integers stand for, on the grid that the qconfig's weight observer
     * finds, and each layer gets a qconfig of its own that keeps this grid for {@link
     * Quantization#convert}. Zero stays zero, so a pruned layer stays pruned.
     *
     * @param model a float model, fused as it will be converted, not prepared yet
     * @param calibration inputs of the model; some hundred examples are enough
     * @param with changes the options, such as {@code o -> o.iterations(5000)}
     * @throws EspalierException if there is no data, no layer to round, or the model is prepared
     */
    public static AdaRound apply(
            Module model, List<Tensor> calibration, UnaryOperator<Options> with) {
        Options options = Needed.from(with, Options.DEFAULT, "the options");
        Needed.all(calibration, "the calibration data");
        List<Site> sites = sites(model);
        if (calibration.isEmpty()) {
            throw new EspalierException("AdaRound needs calibration data; it got no batch.");
        }
        Module rounded = model.copy();
        try (var mode = new EvalMode(model)) {
            rounded.eval();
            var pass = new RoundingPass(model, rounded, calibration, options);
            List<Layer> layers = new ArrayList<>();
            for (Site site : pass.inOrder(sites)) {
                Layer layer = pass.round(site);
                options.listener().accept(layer);
                layers.add(layer);
            }
            pass.finish();
            return new AdaRound(layers);
        }
    }

    private static List<Site> sites(Module model) {
        List<Site> sites = Site.toPrepare(model);
        Set<Module> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        List<Site> found =
                sites.stream()
                        .filter(site -> seen.add(site.module()))
                        .filter(site -> !site.qconfig().isFloat16())
                        .filter(site -> WeightedLayer.of(site.path(), site.module()).isPresent())
                        .toList();
        if (found.isEmpty()) {
            throw new EspalierException(
                    "AdaRound found no Linear layer or convolution whose qconfig asks for integer"
                            + " weights; it rounds no others.");
        }
        return found;
    }

    @Override
    public String toString() {
        var text = new StringBuilder();
        int width = layers.stream().mapToInt(layer -> layer.path.length()).max().orElse(0);
        String paths = "%-" + Math.max(width, "layer".length()) + "s";
        text.append(
                String.format(Locale.ROOT, paths + " %10s %10s", "layer", "nearest", "learned"));
        for (Layer layer : layers) {
            text.append(
                    String.format(
                            Locale.ROOT,
                            "%n" + paths + " %10.6f %10.6f",
                            layer.path,
                            layer.nearest,
                            layer.learned));
        }
        return text.toString();
    }
}
