package io.espalier.conformance;

import io.espalier.conformance.PlainLayer.Reals;

/** A batch normalization in training, as plain loops over [N, C, …]. */
final class PlainNorm {
    static final double EPS = 1e-5;
    private static final double MOMENTUM = 0.1;

    final float[] gamma;
    final float[] beta;
    final float[] mean;
    final float[] variance;

    /** Of the batch last seen: each value less its mean and over its deviation. */
    private double[] standard = new double[0];

    private double[] deviation = new double[0];

    PlainNorm(float[] gamma, float[] beta, float[] mean, float[] variance) {
        this.gamma = gamma;
        this.beta = beta;
        this.mean = mean;
        this.variance = variance;
    }

    /** By the statistics of the batch, which the running ones follow. */
    double[] train(double[] x, long[] shape) {
        int channels = gamma.length;
        int count = x.length / channels;
        double[] means = new double[channels];
        double[] squares = new double[channels];
        for (int i = 0; i < x.length; i++) {
            means[Draws.channel(i, shape, 1)] += x[i] / count;
        }
        for (int i = 0; i < x.length; i++) {
            int c = Draws.channel(i, shape, 1);
            squares[c] += (x[i] - means[c]) * (x[i] - means[c]);
        }
        deviation = new double[channels];
        for (int c = 0; c < channels; c++) {
            deviation[c] = Math.sqrt(squares[c] / count + EPS);
            mean[c] += (float) (MOMENTUM * (means[c] - mean[c]));
            variance[c] += (float) (MOMENTUM * (squares[c] / (count - 1) - variance[c]));
        }
        standard = new double[x.length];
        double[] y = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            int c = Draws.channel(i, shape, 1);
            standard[i] = (x[i] - means[c]) / deviation[c];
            y[i] = standard[i] * gamma[c] + beta[c];
        }
        return y;
    }

    /** By the running statistics. */
    double[] eval(double[] x, long[] shape) {
        double[] y = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            int c = Draws.channel(i, shape, 1);
            y[i] = (x[i] - mean[c]) / Math.sqrt(variance[c] + EPS) * gamma[c] + beta[c];
        }
        return y;
    }

    /** By the running statistics, of floats. */
    Reals of(Reals x) {
        double[] values = new double[x.values().length];
        for (int i = 0; i < values.length; i++) {
            values[i] = x.values()[i];
        }
        return new Reals(PlainDynamic.floats(eval(values, x.shape())), x.shape());
    }

    /** What the weight is multiplied by to be folded. */
    double factor(int channel) {
        return gamma[channel] / Math.sqrt(variance[channel] + EPS);
    }

    /**
     * The gradients of what {@link #train} did.
     *
     * @param ofGamma takes that of the weight
     * @param ofBeta takes that of the bias
     * @return that of the input
     */
    double[] backward(double[] gradient, long[] shape, double[] ofGamma, double[] ofBeta) {
        for (int i = 0; i < gradient.length; i++) {
            int c = Draws.channel(i, shape, 1);
            ofBeta[c] += gradient[i];
            ofGamma[c] += gradient[i] * standard[i];
        }
        int count = gradient.length / gamma.length;
        double[] ofX = new double[gradient.length];
        for (int i = 0; i < gradient.length; i++) {
            int c = Draws.channel(i, shape, 1);
            double along = (ofBeta[c] + standard[i] * ofGamma[c]) / count;
            ofX[i] = (gradient[i] - along) * gamma[c] / deviation[c];
        }
        return ofX;
    }
}
