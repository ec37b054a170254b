package io.espalier.onnx.slim;

/**
 * The channels of a value that are the same number at each place and in each run.
 *
 * @param dimension along which the channels lie
 * @param numbers of each channel; NaN where it is not the same everywhere
 */
@SuppressWarnings("ArrayRecordComponent") // Never compared.
record KnownChannels(int dimension, float[] numbers) {
    boolean isKnown(int channel) {
        return !Float.isNaN(numbers[channel]);
    }

    boolean isZero(int channel) {
        return numbers[channel] == 0;
    }

    /** Whether any is known. */
    boolean isAny() {
        for (int i = 0; i < numbers.length; i++) {
            if (isKnown(i)) {
                return true;
            }
        }
        return false;
    }
}
