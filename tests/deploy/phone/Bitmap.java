package android.graphics;

public final class Bitmap {
    public enum Config { ARGB_8888 }

    private final int[] pixels;
    private final int width, height;

    private Bitmap(int[] pixels, int width, int height) {
        this.pixels = pixels.clone();
        this.width = width;
        this.height = height;
    }

    public static Bitmap createBitmap(int[] colors, int width, int height, Config config) {
        return new Bitmap(colors, width, height);
    }

    public int getWidth() {
        return width;
    }

    public int getHeight() {
        return height;
    }

    public void getPixels(int[] into, int offset, int stride, int x, int y, int width, int height) {
        for (int row = 0; row < height; row++) {
            System.arraycopy(pixels, (y + row) * this.width + x, into, offset + row * stride, width);
        }
    }
}
