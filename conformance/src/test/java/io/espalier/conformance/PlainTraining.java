package io.espalier.conformance;

import io.espalier.conformance.PlainLayer.Reals;
import io.espalier.conformance.PlainObserver.Scheme;
import io.espalier.conformance.PlainRounding.Step;

import org.jspecify.annotations.Nullable;

import java.util.IdentityHashMap;

/**
 * A layer with a ReLU, and perhaps a batch normalization between and a pooling after, trained with
 * fake quantization by stochastic gradient descent, as plain loops. Values are floats between the
 * operations, sums are doubles.
 */
final class PlainTraining {
    private static final double AVERAGE = 0.01;

    private final float[] weight;
    private final long[] weightShape;
    private final float[] bias;
    private final boolean hasBias;
    private final PlainConvolution convolution;
    private final @Nullable PlainNorm norm;
    private final double rate;
    private final double momentum;
    private final IdentityHashMap<float[], double[]> velocity = new IdentityHashMap<>();

    final PlainFakeQuantize input;
    final PlainFakeQuantize weights;
    final PlainFakeQuantize output;

    PlainTraining(
            PlainLayer layer,
            boolean hasBias,
            @Nullable PlainNorm norm,
            boolean reduced,
            boolean perChannel,
            double rate,
            double momentum) {
        this.weight = layer.weight().clone();
        this.weightShape = layer.weightShape();
        this.bias = layer.bias().clone();
        this.hasBias = hasBias;
        this.convolution = layer.convolution();
        this.norm = norm;
        this.rate = rate;
        this.momentum = momentum;
        int last = reduced ? 127 : 255;
        int scales = perChannel ? bias.length : 1;
        this.input = new PlainFakeQuantize(new PlainObserver(1), false, 0, last, AVERAGE);
        this.output = new PlainFakeQuantize(new PlainObserver(1), false, 0, last, AVERAGE);
        this.weights = new PlainFakeQuantize(new PlainObserver(scales), true, -128, 127, AVERAGE);
    }

    float[] weight() {
        return weight;
    }

    float[] bias() {
        return bias;
    }

    /** One step; returns the loss before it. */
    double step(Reals x, int[] targets) {
        Pass pass = new Pass(x, true);
        double[] gradient = new double[pass.logits.values().length];
        double loss = crossEntropy(pass.logits, targets, gradient);
        pass.backward(gradient);
        return loss;
    }

    /** The output with the running statistics; ranges go on following. */
    Reals eval(Reals x) {
        return new Pass(x, false).logits;
    }

    private double factor(int i) {
        return norm == null ? 1 : norm.factor(Draws.channel(i, weightShape, 0));
    }

    /** One call of the network, and what its gradient needs. */
    private final class Pass {
        private final Reals seen;
        private final float[] folded = new float[weight.length];
        private final double[] factors = new double[bias.length];
        private final double[] sums;
        private final long[] shape;
        private final float[] rectified;
        private final Reals logits;

        Pass(Reals x, boolean training) {
            input.see(x.values(), x.shape());
            seen = new Reals(input.rounded(x.values(), x.shape()), x.shape());
            for (int i = 0; i < folded.length; i++) {
                folded[i] = (float) (weight[i] * factor(i));
            }
            for (int c = 0; c < factors.length; c++) {
                factors[c] = norm == null ? 1 : norm.factor(c);
            }
            weights.see(folded, weightShape);
            float[] rounded = weights.rounded(folded, weightShape);
            shape = convolution.outputShape(x.shape(), weightShape);
            sums = convolution.of(seen.values(), x.shape(), rounded, weightShape);
            double[] y = new double[sums.length];
            for (int i = 0; i < y.length; i++) {
                int c = Draws.channel(i, shape, 1);
                y[i] = sums[i] / factors[c] + bias[c];
            }
            if (norm != null) {
                y = training ? norm.train(y, shape) : norm.eval(y, shape);
            }
            rectified = new float[y.length];
            for (int i = 0; i < y.length; i++) {
                rectified[i] = (float) Math.max(y[i], 0);
            }
            output.see(rectified, shape);
            Reals result = new Reals(output.rounded(rectified, shape), shape);
            logits = shape.length == 2 ? result : result.pooled();
        }

        void backward(double[] ofLogits) {
            int size = rectified.length / ofLogits.length;
            double[] gradient = new double[rectified.length];
            for (int i = 0; i < gradient.length; i++) {
                gradient[i] = ofLogits[i / size] / size;
            }
            gradient = output.passed(gradient, rectified, shape);
            for (int i = 0; i < gradient.length; i++) {
                gradient[i] = rectified[i] > 0 ? gradient[i] : 0;
            }
            double[] ofGamma = new double[bias.length];
            double[] ofBeta = new double[bias.length];
            if (norm != null) {
                gradient = norm.backward(gradient, shape, ofGamma, ofBeta);
            }
            double[] ofBias = new double[bias.length];
            double[] ofFactor = new double[bias.length];
            for (int i = 0; i < gradient.length; i++) {
                int c = Draws.channel(i, shape, 1);
                ofBias[c] += gradient[i];
                ofFactor[c] -= gradient[i] * sums[i] / (factors[c] * factors[c]);
                gradient[i] /= factors[c];
            }
            double[] ofWeight =
                    weights.passed(
                            convolution.ofWeight(
                                    seen.values(), seen.shape(), gradient, weightShape),
                            folded,
                            weightShape);
            for (int i = 0; i < weight.length; i++) {
                int c = Draws.channel(i, weightShape, 0);
                ofFactor[c] += ofWeight[i] * weight[i];
                ofWeight[i] *= factors[c];
            }
            descend(weight, ofWeight);
            if (hasBias) {
                descend(bias, ofBias);
            }
            if (norm != null) {
                for (int c = 0; c < ofGamma.length; c++) {
                    ofGamma[c] += ofFactor[c] * factors[c] / norm.gamma[c];
                }
                descend(norm.gamma, ofGamma);
                descend(norm.beta, ofBeta);
            }
        }
    }

    private void descend(float[] parameter, double[] gradient) {
        double[] speed = velocity.computeIfAbsent(parameter, p -> new double[p.length]);
        for (int i = 0; i < parameter.length; i++) {
            speed[i] = momentum * speed[i] + gradient[i];
            parameter[i] -= (float) (rate * speed[i]);
        }
    }

    private static double crossEntropy(Reals logits, int[] targets, double[] gradient) {
        int rows = targets.length;
        int classes = logits.values().length / rows;
        double loss = 0;
        for (int row = 0; row < rows; row++) {
            double sum = 0;
            for (int c = 0; c < classes; c++) {
                sum += Math.exp(logits.values()[row * classes + c]);
            }
            for (int c = 0; c < classes; c++) {
                double share = Math.exp(logits.values()[row * classes + c]) / sum;
                boolean right = c == targets[row];
                gradient[row * classes + c] = (share - (right ? 1 : 0)) / rows;
                loss -= right ? Math.log(share) / rows : 0;
            }
        }
        return loss;
    }

    /** What the converted network computes, with the steps that the observers say. */
    Reals converted(Reals x) {
        var layer = new PlainLayer(weight, weightShape, bias, convolution, true);
        PlainLayer plain =
                norm == null
                        ? layer
                        : layer.folded(
                                norm.gamma, norm.beta, norm.mean, norm.variance, PlainNorm.EPS);
        // The weight is seen once more, and its range, which lags behind, is what counts.
        weights.see(plain.weight(), weightShape);
        Step[] steps = weights.range().steps(new Scheme(false, true, -128, 127, false));
        Step outputStep = observed(output);
        Reals y = plain.rounded(x.rounded(observed(input)), outputStep, steps);
        return y.shape().length == 2 ? y : y.pooled(outputStep);
    }

    static Step observed(PlainFakeQuantize activation) {
        return activation.range()
                .steps(new Scheme(true, false, activation.min(), activation.max(), false))[0];
    }
}
