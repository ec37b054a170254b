package io.espalier.conformance;

/**
 * A convolution of any number of dimensions, none included (a linear layer), as one loop over every
 * product of an input and a weight.
 *
 * @param transposed whether it spreads each input instead of gathering
 */
record PlainConvolution(int stride, int padding, int dilation, int groups, boolean transposed) {
    /** A linear layer, or a convolution with nothing set. */
    static final PlainConvolution USUAL = new PlainConvolution(1, 0, 1, 1, false);

    /** Takes each product; {@code to} is where in the output it goes. */
    private interface Product {
        void add(int to, int from, int weight);
    }

    long[] outputShape(long[] x, long[] weight) {
        long[] shape = x.clone();
        shape[1] = transposed ? weight[1] * groups : weight[0];
        for (int d = 2; d < shape.length; d++) {
            long reach = dilation * (weight[d] - 1);
            shape[d] =
                    transposed
                            ? (x[d] - 1) * stride - 2L * padding + reach + 1
                            : (x[d] + 2L * padding - reach - 1) / stride + 1;
        }
        return shape;
    }

    /** The sums without a bias, of floats. */
    double[] of(float[] x, long[] shape, float[] weight, long[] weightShape) {
        double[] sums = new double[Draws.size(outputShape(shape, weightShape))];
        each(shape, weightShape, (to, from, w) -> sums[to] += (double) x[from] * weight[w]);
        return sums;
    }

    /** The gradient of the weight, for that of the output. */
    double[] ofWeight(float[] x, long[] shape, double[] gradient, long[] weightShape) {
        double[] sums = new double[Draws.size(weightShape)];
        each(shape, weightShape, (to, from, w) -> sums[w] += x[from] * gradient[to]);
        return sums;
    }

    private void each(long[] shape, long[] weightShape, Product product) {
        long[] out = outputShape(shape, weightShape);
        // Written for the gathering form: input and output change places when transposed.
        long[] gathered = transposed ? shape : out;
        long[] seen = transposed ? out : shape;
        int perGroup = (int) (gathered[1] / groups);
        int weights = Draws.size(weightShape);
        int perChannel = weights / (int) weightShape[0];
        long[][] positions = new long[weights][];
        for (int w = 0; w < weights; w++) {
            positions[w] = index(w, weightShape);
        }
        long[] source = new long[shape.length];
        for (int g = 0; g < Draws.size(gathered); g++) {
            long[] at = index(g, gathered);
            int first = (int) at[1] * perChannel;
            for (int w = first; w < first + perChannel; w++) {
                long[] k = positions[w];
                source[0] = at[0];
                source[1] = at[1] / perGroup * weightShape[1] + k[1];
                boolean inside = true;
                for (int d = 2; d < at.length; d++) {
                    source[d] = at[d] * stride - padding + k[d] * dilation;
                    inside &= source[d] >= 0 && source[d] < seen[d];
                }
                if (inside) {
                    int other = flat(source, seen);
                    product.add(transposed ? other : g, transposed ? g : other, w);
                }
            }
        }
    }

    private static long[] index(int flat, long[] shape) {
        long[] index = new long[shape.length];
        int rest = flat;
        for (int d = shape.length - 1; d >= 0; d--) {
            index[d] = rest % shape[d];
            rest /= (int) shape[d];
        }
        return index;
    }

    private static int flat(long[] index, long[] shape) {
        int flat = 0;
        for (int d = 0; d < shape.length; d++) {
            flat = flat * (int) shape[d] + (int) index[d];
        }
        return flat;
    }

    /** Which output channel the entry {@code i} of a weight belongs to. */
    int channel(int i, long[] weightShape) {
        if (!transposed) {
            return Draws.channel(i, weightShape, 0);
        }
        int inputsOfGroup = (int) (weightShape[0] / groups);
        int group = Draws.channel(i, weightShape, 0) / inputsOfGroup;
        return group * (int) weightShape[1] + Draws.channel(i, weightShape, 1);
    }
}
